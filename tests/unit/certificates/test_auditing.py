"""What a completed enrollment has not: by the rule, and page by page over a store that others write meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from services.certificates.domain import (
    Certificate,
    Enrollment,
    Lack,
    Lacking,
    Links,
    course_completed,
    lacking,
)
from services.certificates.handlers import lacks
from shared.contracts.certificates import CertificateStatus
from tests.support.fakes_certificates import FakeCertificateStore, academy
from tests.support.issuer import NOW

PENDING = Certificate("certificate-1", "enrollment-1", "learner-1", "course-1", "Ada Lovelace", "Engines", None)
LINKS = Links("https://learn.example.org")
IDS = [f"enrollment-{n}" for n in range(6)]


def uncertified() -> FakeCertificateStore:
    """Whoever completed the course was told so, and has no certificate: each of them lacks one thing."""
    store = academy(*IDS)
    for enrollment_id in store.enrolled:
        notification = course_completed(Enrollment(enrollment_id, "learner-1", "course-1", NOW), "Engines", LINKS, NOW)
        store.notifications[notification.notification_id] = notification
    return store


def without_certificate(*enrollment_ids: str) -> list[Lacking]:
    return [Lacking(enrollment_id, Lack.CERTIFICATE_MISSING) for enrollment_id in enrollment_ids]


@dataclass
class Settling:
    """The time in which what is on its way arrives: how often it passed, and what happens then."""

    times: int = 0
    meanwhile: Callable[[], None] = lambda: None

    async def __call__(self) -> None:
        self.times += 1
        self.meanwhile()


async def found(store: FakeCertificateStore, settle: Settling, *, page: int = 100) -> list[Lacking]:
    return [lack async for lack in lacks(store, page=page, settle=settle)]


async def test_fewer_than_a_page_are_settled_at_once_and_found_in_the_order_of_their_enrollments() -> None:
    settle = Settling()

    assert await found(uncertified(), settle) == without_certificate(*IDS)
    assert settle.times == 1


async def test_a_page_of_them_is_settled_before_more_are_looked_for_and_each_is_found_once() -> None:
    settle = Settling()

    assert await found(uncertified(), settle, page=2) == without_certificate(*IDS)
    assert settle.times == len(IDS) / 2


async def test_of_fewer_than_a_page_what_arrives_meanwhile_is_not_wanting() -> None:
    store = uncertified()

    def arrives() -> None:
        store.stored[IDS[1]] = replace(PENDING, enrollment_id=IDS[1], status="revoked")

    assert await found(store, Settling(meanwhile=arrives)) == without_certificate(IDS[0], *IDS[2:])


async def test_nothing_is_waited_for_where_nothing_is_wanting() -> None:
    settle = Settling()

    assert await found(academy(completed_at=None), settle) == []
    assert settle.times == 0


@pytest.mark.parametrize("file_id", [None, "file-1"])
@pytest.mark.parametrize("status", ["pending", "rendered"])
def test_one_that_is_begun_lacks_its_end_or_the_file_that_it_names(
    status: CertificateStatus, file_id: str | None
) -> None:
    begun = replace(PENDING, status=status, file_id=file_id)

    [lack, _] = lacking("enrollment-1", begun, None, files=(), told=())

    gone = status == "rendered" and file_id is not None
    assert lack.kind is (Lack.PDF_MISSING if gone else Lack.CERTIFICATE_UNFINISHED)


def test_of_what_was_not_told_the_certificate_is_named_where_there_is_one() -> None:
    issued = replace(PENDING, status="issued", issued_at=NOW)

    assert list(lacking("enrollment-1", issued, None, files=(), told=())) == [
        Lacking("enrollment-1", Lack.COURSE_COMPLETED_MISSING, "certificate-1"),
        Lacking("enrollment-1", Lack.CERTIFICATE_READY_MISSING, "certificate-1"),
    ]
    assert list(lacking("enrollment-1", None, None, files=(), told=()))[1:] == [
        Lacking("enrollment-1", Lack.COURSE_COMPLETED_MISSING)
    ]
