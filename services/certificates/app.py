"""The composition root of certificates: the one place where adapters meet handlers; tests call it too."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.certificates.delivery import OutgoingEmail, SmtpSender
from services.certificates.domain import Failure, Links, Making, Notification
from services.certificates.handlers import CertificateIssuer, send_due_emails
from services.certificates.http import NotIndexed, router
from services.certificates.messaging import ACCEPTS, CertificateMessages
from services.certificates.metrics import CertificateMetrics
from services.certificates.ports import EmailSender, NotificationStore, Store, Typesetter
from services.certificates.render import CertificatePage, Renderer
from services.certificates.settings import CertificatesSettings, EmailSettings, Settings
from services.certificates.storage import MongoStore
from shared.clock import Clock, system_clock
from shared.kafka.assembly import KafkaSide
from shared.resources import Resources
from shared.service import Service

__all__ = ["Settings", "build_app"]


def build_app(
    settings: Settings,
    *,
    store: Store | None = None,
    renderer: Typesetter | None = None,
    email: EmailSender | None = None,
    clock: Clock = system_clock,
    registry: CollectorRegistry | None = None,
) -> Service:
    """Wire certificates; nothing is opened before the service runs.

    Raises:
        Fatal: a setting cannot be used.
    """
    own = settings.certificates
    registry = registry or CollectorRegistry()
    resources = Resources("certificates", settings, clock)
    links = Links(settings.public_url)
    mongo_store = MongoStore(resources.db, settings.mongo)
    store = store or mongo_store
    typesetting = Typesetting(own, links)
    issuer = CertificateIssuer(
        store,
        (renderer or typesetting) if own.rendering else None,
        links,
        clock,
        new_id=new_certificate_id,
        emails=own.email.enabled,
    )
    kafka = KafkaSide(
        "certificates",
        settings=settings.kafka,
        batch_size=own.batch_size,
        accepts=ACCEPTS,
        handler=CertificateMessages(issuer, store, links, CertificateMetrics(registry), clock),
        observer=lambda *_: None,
        verifier=resources.verifier,
        clock=clock,
        registry=registry,
        fatal=lambda failure: service.fail(failure),  # noqa: PLW0108 - the service is made below
    )
    http = FastAPI(title="Lesson Progress: certificates", version=resources.version, docs_url=None, redoc_url=None)
    http.add_middleware(NotIndexed)
    http.include_router(router(store, links))
    resources.serve_operations(http, kafka=kafka, registry=registry)
    background: list[Callable[[], Awaitable[None]]] = [kafka.watch_lag, resources.watch_keys]
    if own.email.enabled:
        background.append(partial(_send_emails, store, email or Mailing(own.email, clock), clock))
    service = Service(
        name="certificates",
        http=http,
        http_settings=own.http,
        resources=(lambda: resources.database(mongo_store.prepare), resources.keys, typesetting.running),
        consuming=kafka,
        background=background,
    )
    return service


#: How often to look for e-mails that are due.
_EMAIL_SECONDS = 1.0


async def _send_emails(store: NotificationStore, sender: EmailSender, clock: Clock) -> None:
    """One round of e-mails, beside the consume loop: a slow mail server holds no record up."""
    await send_due_emails(store, sender, clock)
    await asyncio.sleep(_EMAIL_SECONDS)


def new_certificate_id() -> str:
    """128 random bits that can be read aloud, typed, and put into an address."""
    return secrets.token_hex(16)


class Typesetting:
    """The renderer, as handlers see it."""

    def __init__(self, settings: CertificatesSettings, links: Links) -> None:
        self._renderer = Renderer(workers=settings.render_workers, fonts=settings.fonts)
        self._wanted = settings.rendering
        self._links = links

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The worker processes, warm; none where no PDFs are made."""
        if self._wanted:
            await self._renderer.start()
        try:
            yield
        finally:
            await self._renderer.close()

    async def typeset(self, makings: Sequence[Making]) -> list[bytes | Failure]:
        """The PDFs, or why there is none."""
        rendered = await self._renderer.render_many([self._page(making) for making in makings])
        return [page if isinstance(page, bytes) else Failure(page.code) for page in rendered]

    async def recover(self) -> None:
        """See that workers work again."""
        await self._renderer.start()

    def _page(self, making: Making) -> CertificatePage:
        draft = making.draft
        return CertificatePage(
            certificate_id=draft.certificate_id,
            recipient_name=draft.recipient_name,
            course_title=draft.course_title,
            instructor_name=draft.instructor_name,
            issued_on=datetime.fromtimestamp(making.completed_at / 1000, UTC).date(),
            verification_url=self._links.verification(draft.certificate_id),
        )


class Mailing:
    """The mail server, as handlers see it."""

    def __init__(self, settings: EmailSettings, clock: Clock) -> None:
        self._domain = settings.sender.rpartition("@")[2]
        self._smtp = SmtpSender(
            host=settings.host,
            port=settings.port,
            sender=settings.sender,
            username=settings.username or None,
            password=settings.password.get_secret_value() or None,
            tls=settings.tls,
            clock=clock,
        )

    async def send(self, notification: Notification, address: str) -> None:
        """Hand the e-mail over."""
        await self._smtp.send(
            OutgoingEmail(
                message_id=f"<{notification.notification_id}@{self._domain}>",
                to=address,
                subject=notification.title,
                body=f"{notification.body}\n\n{notification.link}\n",
            )
        )
