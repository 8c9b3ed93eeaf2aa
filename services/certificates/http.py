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
from shared.problems import Problem

CertificateId = Annotated[str, Path(description="The id on the certificate: whoever knows it may look.")]

#: A certificate can be revoked at any time, and it names a person.
_NO_STORE = {"Cache-Control": "no-store"}


class CertificateAnswer(Message):
    """A certificate as anyone may check it; moments in epoch milliseconds."""

    certificate_id: str
    status: CertificateStatus
    #: Empty while the learner, or the course, is missing.
    recipient_name: str
    course_title: str
    instructor_name: str | None
    issued_at: int | None
    revoked_at: int | None
    verification_url: str


def router(store: CertificateStore, links: Links) -> APIRouter:
    """The queries; the id is the secret, so they need no token."""
    routes = APIRouter(prefix="/v1/certificates", tags=["certificates"])

    @routes.get("/{certificate_id}", summary="Check a certificate")
    async def certificate(certificate_id: CertificateId, response: Response) -> CertificateAnswer:
        found = await store.certificate(certificate_id)
        if found is None:
            raise _unknown()
        response.headers.update(_NO_STORE)
        return _answer(found, links)

    @routes.get(
        "/{certificate_id}/pdf",
        summary="Download a certificate",
        response_class=Response,
        responses={
            200: {"content": {"application/pdf": {}}},
            404: {"description": "Unknown, or issued without a PDF"},
            409: {"description": "Not issued yet"},
            410: {"description": "Revoked"},
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
