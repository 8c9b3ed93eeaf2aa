"""How operators look into certificates: audits and verification, in processes of their own that only read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from services.certificates.auditing import MongoAuditStore
from services.certificates.domain import Lack, Lacking, Links
from services.certificates.handlers import (
    Holding,
    audit_enrollments,
    examine,
    lacks,
    strays_among_certificates,
    strays_among_notifications,
)
from services.certificates.messaging import ACCEPTS, in_order, verdicts
from services.certificates.ports import AuditStore, CertificateRecords
from services.certificates.storage import MongoStore
from shared.clock import Clock, system_clock
from shared.contracts.certificates import CertificateIssued, CertificateRevoked, NotificationCreated
from shared.identity import TokenVerifier
from shared.kafka.judging import Fact, RecordJudge
from shared.mongo.batches import Sift
from shared.mongo.client import connect, database, ping
from shared.resources import Resources
from shared.settings import MongoSettings, ServiceSettings
from shared.verification import Flaw

__all__ = [
    "Auditor",
    "Holding",
    "Judge",
    "Lack",
    "Lacking",
    "build_auditor",
    "build_judge",
]


#: What certificates publishes.
Published = CertificateIssued | CertificateRevoked | NotificationCreated


class Judge:
    """Says what must have become of completed courses, and what is wrong with certificates; it only reads."""

    def __init__(
        self,
        store: CertificateRecords,
        verifier: TokenVerifier,
        links: Links,
        clock: Clock = system_clock,
        *,
        page: int = 1000,
    ) -> None:
        self._store = store
        self._links = links
        self._page = page
        self.records = RecordJudge("certificates", ACCEPTS, verifier, clock, partial(verdicts, store=store))

    async def examine(self, enrollment_ids: Collection[str]) -> list[Holding]:
        """What those of these enrollments have that are completed, and what is wrong with it.

        Raises:
            Transient: the database does not answer.
        """
        return await examine(enrollment_ids, self._store)

    def facts(self, holding: Holding) -> list[Fact]:
        """What must have been published of an enrollment's certificates and notifications."""
        if not holding.certificates:
            return []
        first, *others = holding.certificates
        told = [in_order(first, holding.notifications, self._links), *(in_order(c, (), self._links) for c in others)]
        return [Fact(holding.enrollment_id, holding.enrollment_id, events) for events in told]

    async def strays(self) -> AsyncIterator[tuple[int, list[Flaw]]]:
        """Certificates and notifications that no completion leads to; of each page how many were looked at.

        Raises:
            Transient: the database does not answer.
        """
        last = None
        while certificates := await self._store.certificates_after(last, self._page):
            yield len(certificates), await strays_among_certificates(certificates, self._store)
            last = certificates[-1].certificate_id
        last = None
        while notifications := await self._store.told_after(last, self._page):
            yield len(notifications), await strays_among_notifications(notifications, self._store)
            last = notifications[-1].notification_id

    async def stand(self, events: Sequence[Published]) -> list[bool]:
        """Whether each event's fact is there.

        Raises:
            Transient: the database does not answer.
        """
        ids = {e.certificate_id for e in events if not isinstance(e, NotificationCreated)}
        certificates = await self._store.certificates_by_id(ids) if ids else {}
        told_ids = {e.notification_id for e in events if isinstance(e, NotificationCreated)}
        told = await self._store.told(told_ids) if told_ids else {}
        answers = []
        for event in events:
            if isinstance(event, NotificationCreated):
                answers.append(event.notification_id in told)
                continue
            certificate = certificates.get(event.certificate_id)
            revoked = isinstance(event, CertificateRevoked)
            moment = None if certificate is None else certificate.revoked_at if revoked else certificate.issued_at
            answers.append(moment is not None)
        return answers


@asynccontextmanager
async def build_judge(settings: ServiceSettings, sift: Sift | None = None) -> AsyncIterator[Judge]:
    """A judge on the configured database, with the keys that certificates has seen; `sift` chooses what it reads there.

    Raises:
        Fatal: a setting cannot be used.
        Transient: the database, or the issuer's key set, does not answer.
    """
    resources = Resources("certificates", settings, system_clock, read_only=True)
    async with resources.database(), resources.keys():
        store = MongoStore(resources.db, settings.mongo, sift)
        yield Judge(store, resources.verifier, Links(settings.public_url))


@dataclass(frozen=True, slots=True)
class Auditor:
    """Looks for completed enrollments that have not all they ought to have."""

    store: AuditStore
    #: Enrollments looked at in one go.
    page: int
    #: How long what is missing may be on its way before it is reported, in seconds.
    settle_seconds: float

    def lacks(self, on_progress: Callable[[int, int], None] = lambda *_: None) -> AsyncIterator[Lacking]:
        """Everything that is missing, nothing in a healthy system; `on_progress` hears how many enrollments were seen.

        Raises:
            Transient: the database does not answer.
        """
        settle = partial(asyncio.sleep, self.settle_seconds)
        return lacks(self.store, page=self.page, settle=settle, on_progress=on_progress)

    async def among(self, enrollment_ids: Collection[str]) -> list[Lacking]:
        """What these have not at this moment, whether or not it is on its way.

        Raises:
            Transient: the database does not answer.
        """
        return await audit_enrollments((await self.store.completed(enrollment_ids)).values(), self.store)


@asynccontextmanager
async def build_auditor(
    mongo: MongoSettings, *, page: int, settle_seconds: float, sift: Sift | None = None
) -> AsyncIterator[Auditor]:
    """An auditor on this database, which it only reads; `sift` chooses what it reads there.

    Raises:
        Fatal: a setting cannot be used.
        Transient: the database does not answer.
    """
    client = connect(mongo, service="audit")
    try:
        db = database(client, mongo)
        await ping(db)
        yield Auditor(MongoAuditStore(db, mongo, sift), page, settle_seconds)
    finally:
        client.close()
