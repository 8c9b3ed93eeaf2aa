"""The composition root of certificates: the one place where adapters meet handlers; tests call it too."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.certificates.delivery import Mailing, send_emails
from services.certificates.domain import Links
from services.certificates.handlers import (
    CertificateIssuer,
    new_certificate_id,
)
from services.certificates.http import NotIndexed, router
from services.certificates.messaging import ACCEPTS, CertificateMessages
from services.certificates.metrics import CertificateMetrics
from services.certificates.ports import EmailSender, Store, Typesetter
from services.certificates.render import Typesetting
from services.certificates.settings import Settings
from services.certificates.storage import MongoStore
from shared.clock import Clock, system_clock
from shared.kafka.assembly import KafkaSide
from shared.resources import Resources
from shared.service import Service

#: Completions of how long ago are looked at (ms): longer than any topic keeps what still leads to a certificate.
_RECENT_MS = 30 * 24 * 3_600_000


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
    metrics = CertificateMetrics(registry)
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
        handler=CertificateMessages(issuer, store, links, metrics, clock),
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
    background: list[Callable[[], Awaitable[None]]] = [
        kafka.watch_lag,
        kafka.watch_connection,
        resources.watch_database,
        resources.watch_keys,
    ]
    background.append(partial(_count_uncertified, store, metrics, clock, seconds=own.uncertified_seconds))
    if own.email.enabled:
        background.append(partial(send_emails, store, email or Mailing(own.email, clock), clock))
    service = Service(
        name="certificates",
        http=http,
        http_settings=own.http,
        resources=(lambda: resources.database(mongo_store.prepare), resources.keys, typesetting.running),
        consuming=kafka,
        background=background,
    )
    return service


async def _count_uncertified(store: Store, metrics: CertificateMetrics, clock: Clock, *, seconds: float) -> None:
    """Show how many completed enrollments have no certificate, and wait until the next time."""
    now = clock()
    metrics.uncertified(await store.uncertified(now - _RECENT_MS), now=now)
    await asyncio.sleep(seconds)
