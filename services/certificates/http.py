"""The HTTP side of certificates: anyone who knows a certificate's id may check and download it; no rules."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as AsgiMessage

from services.certificates.domain import Certificate, Links
from services.certificates.handlers import download
from services.certificates.ports import CertificateStore
from shared.contracts.certificates import CertificateStatus
from shared.contracts.values import Message
from shared.openapi import header, problems
from shared.problems import Problem

CertificateId = Annotated[str, Path(description="The id on the certificate: whoever knows it may look.")]

#: A certificate can be revoked at any time, and it names a person.
_NO_STORE = {"Cache-Control": "no-store"}
_HEADERS = {
    "Cache-Control": header("Always `no-store`: a certificate can be revoked at any time, and it names a person."),
    "X-Robots-Tag": header("Always `noindex`."),
}


class CertificateAnswer(Message):
    """A certificate as anyone may check it; moments in epoch milliseconds."""

    certificate_id: str
    """The certificate."""
    status: CertificateStatus
    """What has become of it; only an issued one can be downloaded."""
    recipient_name: str
    """Who completed the course; empty while the learner is missing."""
    course_title: str
    """What was completed; empty while the course is missing."""
    instructor_name: str | None
    """Who taught it; null when the course names nobody."""
    issued_at: int | None
    """When it was issued, in Unix epoch milliseconds; null until then."""
    revoked_at: int | None
    """When it was withdrawn, in Unix epoch milliseconds; null when it was not."""
    verification_url: str
    """The absolute address where anyone may check it."""


#: A revoked one: FastAPI leaves every null out of an example.
_EXAMPLE = CertificateAnswer(
    certificate_id="6b1f0d7c3a9e4852b0c6d1f7e2a49358",
    status="revoked",
    recipient_name="Maya Lindqvist",
    course_title="Baking Bread",
    instructor_name="Eva Berg",
    issued_at=1_800_000_000_000,
    revoked_at=1_800_086_400_000,
    verification_url="https://learn.example.org/v1/certificates/6b1f0d7c3a9e4852b0c6d1f7e2a49358",
)
_ANSWER = {
    "description": "The certificate as it is now.",
    "content": {"application/json": {"example": _EXAMPLE.model_dump(by_alias=True)}},
    "headers": _HEADERS,
}
_PDF = {
    "description": "The certificate to keep.",
    "content": {"application/pdf": {"schema": {"type": "string", "contentMediaType": "application/pdf"}}},
    "headers": {**_HEADERS, "Content-Disposition": header("A name to keep it under.")},
}


def router(store: CertificateStore, links: Links) -> APIRouter:
    """The queries; the id is the secret, so they need no token."""
    routes = APIRouter(prefix="/v1/certificates", tags=["certificates"])

    @routes.get(
        "/{certificate_id}",
        operation_id="getCertificate",
        summary="Check a certificate",
        responses={**problems(not_found="Certificate not found"), 200: _ANSWER},
    )
    async def certificate(certificate_id: CertificateId, response: Response) -> CertificateAnswer:
        found = await store.certificate(certificate_id)
        if found is None:
            raise _unknown()
        response.headers.update(_NO_STORE)
        return _answer(found, links)

    @routes.get(
        "/{certificate_id}/pdf",
        operation_id="getCertificatePdf",
        summary="Download a certificate",
        response_class=Response,
        responses={
            **problems(
                not_found="Certificate not found",
                conflict="The certificate is not issued yet",
                gone="The certificate was revoked",
            ),
            200: _PDF,
        },
    )
    async def pdf(certificate_id: CertificateId) -> Response:
        certificate, data = await download(certificate_id, store)
        if data is None:
            raise _withheld(certificate)
        named = {"Content-Disposition": f'inline; filename="certificate-{certificate_id}.pdf"'}
        return Response(data, media_type="application/pdf", headers=_NO_STORE | named)

    return routes


def _withheld(certificate: Certificate | None) -> Problem:
    """Why a PDF is not handed out."""
    if certificate is None:
        return _unknown()
    if certificate.status == "revoked":
        return Problem(HTTPStatus.GONE, "The certificate was revoked", headers=_NO_STORE)
    if certificate.status != "issued":
        return Problem(HTTPStatus.CONFLICT, "The certificate is not issued yet", headers=_NO_STORE)
    return Problem(HTTPStatus.NOT_FOUND, "The certificate was issued without a PDF", headers=_NO_STORE)


def _unknown() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "Certificate not found", headers=_NO_STORE)


def _answer(certificate: Certificate, links: Links) -> CertificateAnswer:
    return CertificateAnswer(
        certificate_id=certificate.certificate_id,
        status=certificate.status,
        recipient_name=certificate.recipient_name,
        course_title=certificate.course_title,
        instructor_name=certificate.instructor_name,
        issued_at=certificate.issued_at,
        revoked_at=certificate.revoked_at,
        verification_url=links.verification(certificate.certificate_id),
    )


class NotIndexed:
    """Tells search engines to keep every answer of this application to themselves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and mark the answer."""

        async def marked(message: AsgiMessage) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Robots-Tag"] = "noindex"
            await send(message)

        await self._app(scope, receive, marked)
