"""Anyone who knows the id may check and download a certificate; every answer says what it is and is kept nowhere."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from services.certificates.app import build_app
from services.certificates.domain import Certificate
from services.certificates.settings import Settings
from tests.support.fakes_certificates import FakeCertificateStore, FakeTypesetter
from tests.support.issuer import NOW

ISSUED = Certificate(
    "c0ffee", "enrollment-1", "learner-1", "course-1", "Ada Lovelace", "Engines", "Charles Babbage",
    status="issued", issued_at=NOW, file_id="file-1",
)  # fmt: skip
REVOKED = replace(ISSUED, status="revoked", revoked_at=NOW + 1, revoked_reason="A secret reason")
PATH = "/v1/certificates/c0ffee"


@pytest.fixture
async def web(store: FakeCertificateStore) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(public_url="https://learn.example.org/")
    service = build_app(settings, store=store, renderer=FakeTypesetter())
    transport = httpx.ASGITransport(app=service.http, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://certificates") as client:
        yield client


@pytest.fixture(autouse=True)
def _issued(store: FakeCertificateStore) -> None:
    store.stored["enrollment-1"] = ISSUED
    store.files["file-1"] = b"%PDF-1.7"


def problem(answer: httpx.Response) -> dict[str, Any]:
    """The problem document of an answer, which says that it is one."""
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == answer.status_code
    return document


async def test_a_certificate_says_who_completed_what_and_whether_it_holds(web: httpx.AsyncClient) -> None:
    answer = await web.get(PATH)

    assert answer.status_code == 200
    assert answer.json() == {
        "certificateId": "c0ffee",
        "status": "issued",
        "recipientName": "Ada Lovelace",
        "courseTitle": "Engines",
        "instructorName": "Charles Babbage",
        "issuedAt": NOW,
        "revokedAt": None,
        "verificationUrl": "https://learn.example.org/v1/certificates/c0ffee",
    }


async def test_a_revoked_one_says_when_and_not_why(web: httpx.AsyncClient, store: FakeCertificateStore) -> None:
    store.stored["enrollment-1"] = REVOKED

    answer = await web.get(PATH)

    assert (answer.json()["status"], answer.json()["revokedAt"]) == ("revoked", NOW + 1)
    assert "secret" not in answer.text


@pytest.mark.parametrize("status", ["pending", "failed"])
async def test_one_that_is_not_issued_has_no_moment(
    web: httpx.AsyncClient, store: FakeCertificateStore, status: Any
) -> None:
    store.stored["enrollment-1"] = replace(ISSUED, status=status, issued_at=None, file_id=None, instructor_name=None)

    answer = await web.get(PATH)

    assert (answer.json()["status"], answer.json()["issuedAt"]) == (status, None)
    assert answer.json()["instructorName"] is None


async def test_its_pdf_is_shown_in_the_browser_under_a_name_of_its_own(web: httpx.AsyncClient) -> None:
    answer = await web.get(f"{PATH}/pdf")

    assert (answer.status_code, answer.content) == (200, b"%PDF-1.7")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-length"] == "8"
    assert answer.headers["content-disposition"] == 'inline; filename="certificate-c0ffee.pdf"'


@pytest.mark.parametrize(
    ("certificate", "status"),
    [
        (replace(ISSUED, status="pending", issued_at=None, file_id=None), 409),
        (replace(ISSUED, status="rendered", issued_at=None), 409),
        (replace(ISSUED, status="failed", issued_at=None, file_id=None), 409),
        (REVOKED, 410),
        (replace(ISSUED, file_id=None), 404),
    ],
)
async def test_a_pdf_that_is_not_handed_out_is_a_problem_that_says_why(
    web: httpx.AsyncClient, store: FakeCertificateStore, certificate: Certificate, status: int
) -> None:
    store.stored["enrollment-1"] = certificate

    answer = await web.get(f"{PATH}/pdf")

    assert answer.status_code == status
    assert problem(answer)["detail"]


@pytest.mark.parametrize("path", ["/v1/certificates/unknown", "/v1/certificates/unknown/pdf", "/v1/certificates/%00"])
async def test_an_unknown_certificate_is_404(web: httpx.AsyncClient, path: str) -> None:
    answer = await web.get(path)

    assert answer.status_code == 404
    assert problem(answer)["detail"] == "Certificate not found"


async def test_a_pdf_that_is_replaced_while_it_is_asked_for_is_looked_up_again(
    web: httpx.AsyncClient, store: FakeCertificateStore
) -> None:
    del store.files["file-1"]

    def replace_it(call: str) -> None:
        if call == "pdf":
            store.stored["enrollment-1"] = replace(ISSUED, file_id="file-2")
            store.files["file-2"] = b"%PDF-2"
            store.meanwhile = lambda _call: None

    store.meanwhile = replace_it

    assert (await web.get(f"{PATH}/pdf")).content == b"%PDF-2"


async def test_a_file_that_is_gone_is_a_503(web: httpx.AsyncClient, store: FakeCertificateStore) -> None:
    store.files.clear()

    assert (await web.get(f"{PATH}/pdf")).status_code == 503


@pytest.mark.parametrize("path", [PATH, f"{PATH}/pdf"])
async def test_while_the_database_is_away_the_answer_is_503(
    web: httpx.AsyncClient, store: FakeCertificateStore, path: str
) -> None:
    store.away = True

    answer = await web.get(path)

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    problem(answer)


@pytest.mark.parametrize(
    "path", [PATH, f"{PATH}/pdf", "/v1/certificates/unknown", "/v1/certificates/unknown/pdf", "/x"]
)
async def test_search_engines_keep_nothing(web: httpx.AsyncClient, path: str) -> None:
    assert (await web.get(path)).headers["x-robots-tag"] == "noindex"


@pytest.mark.parametrize("path", [PATH, f"{PATH}/pdf", "/v1/certificates/unknown", "/v1/certificates/unknown/pdf"])
async def test_nobody_on_the_way_keeps_an_answer_that_names_a_person_or_may_change(
    web: httpx.AsyncClient, path: str
) -> None:
    assert (await web.get(path)).headers["cache-control"] == "no-store"


async def test_the_description_names_every_answer(web: httpx.AsyncClient) -> None:
    described = (await web.get("/openapi.json")).json()["paths"]["/v1/certificates/{certificate_id}/pdf"]["get"]

    assert {"200", "404", "409", "410"} <= described["responses"].keys()
    assert list(described["responses"]["200"]["content"]) == ["application/pdf"]
