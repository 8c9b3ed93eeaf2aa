"""How operators look into the recalculator: audits and verification, in processes of their own that only read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from services.recalculator import handlers
from services.recalculator.domain import Difference, Enrollment, Examined
from services.recalculator.messaging import ACCEPTS, enrollment_events, verdicts
from services.recalculator.ports import RecalculatorStore
from services.recalculator.settings import RecalculatorSettings
from services.recalculator.storage import MongoRecalculatorStore
from shared.clock import Clock, system_clock
from shared.contracts.recalculator import CourseCompleted, EnrollmentProgressed
from shared.identity import TokenVerifier
from shared.kafka.judging import Fact, RecordJudge
from shared.mongo.batches import Sift
from shared.mongo.client import connect, database, ping
from shared.resources import Resources
from shared.settings import MongoSettings, ServiceSettings

__all__ = [
    "Auditor",
    "Difference",
    "Enrollment",
    "Examined",
    "Judge",
    "build_auditor",
    "build_judge",
]


@dataclass(frozen=True, slots=True)
class Auditor:
    """Compares every enrollment with its facts."""

    store: RecalculatorStore
    settings: RecalculatorSettings

    def differences(self, on_progress: Callable[[int, int], None] = lambda *_: None) -> AsyncIterator[Difference]:
        """Every difference, none in a healthy system; `on_progress` hears how many were compared, of about how many.

        Raises:
            Transient: the database does not answer.
        """
        return handlers.differences(
            self.store,
            page=self.settings.audit_page,
            settle=partial(asyncio.sleep, self.settings.audit_settle_seconds),
            on_progress=on_progress,
        )

    async def among(self, enrollment_ids: Collection[str]) -> list[Difference]:
        """Those of these that differ at this moment, whether or not something is on its way.

        Raises:
            Transient: the database does not answer.
        """
        return await handlers.audit_page((await self.store.enrollments(enrollment_ids)).values(), self.store)


class AuditSettings(Protocol):
    """Where the database is and how the audit goes about it: part of this service's settings, and of an operator's."""

    @property
    def mongo(self) -> MongoSettings:
        """Where the database is."""

    @property
    def recalculator(self) -> RecalculatorSettings:
        """How the audit goes about it."""


@asynccontextmanager
async def build_auditor(settings: AuditSettings, sift: Sift | None = None) -> AsyncIterator[Auditor]:
    """An auditor on the configured database, which it only reads; `sift` chooses what it reads there.

    Raises:
        Fatal: a setting cannot be used.
        Transient: the database does not answer.
    """
    client = connect(settings.mongo, service="audit")
    try:
        db = database(client, settings.mongo)
        await ping(db)
        yield Auditor(MongoRecalculatorStore(db, settings.mongo, sift), settings.recalculator)
    finally:
        client.close()


class Judge:
    """Says what must have become of completions and commands, and what is wrong with enrollments; it only reads."""

    def __init__(
        self, store: RecalculatorStore, verifier: TokenVerifier, clock: Clock = system_clock, *, page: int = 1000
    ) -> None:
        self._store = store
        self._page = page
        self.records = RecordJudge("recalculator", ACCEPTS, verifier, clock, partial(verdicts, store=store))

    async def count(self) -> int:
        """About how many enrollments there are."""
        return await self._store.enrollment_count()

    async def enrollments(self) -> AsyncIterator[list[Examined]]:
        """Every enrollment, compared with its facts, page by page.

        Raises:
            Transient: the database does not answer.
        """
        last = None
        while page := await self._store.enrollments_after(last, self._page):
            yield await handlers.examine(page, self._store)
            last = page[-1].enrollment_id

    async def again(self, enrollment_ids: Collection[str]) -> dict[str, Examined]:
        """These enrollments as they are now, compared with their facts once more.

        Raises:
            Transient: the database does not answer.
        """
        enrollments = await self._store.enrollments(enrollment_ids)
        return {e.enrollment.enrollment_id: e for e in await handlers.examine(enrollments.values(), self._store)}

    @staticmethod
    def fact(enrollment: Enrollment) -> Fact:
        """What must have been published of this enrollment; of one that never changed nothing need be."""
        events = enrollment_events(enrollment)
        changed = enrollment.revision > 0
        required = [event for event in events if changed or not isinstance(event.message, EnrollmentProgressed)]
        return Fact(enrollment.enrollment_id, enrollment.enrollment_id, required)

    async def stand(self, events: Sequence[EnrollmentProgressed | CourseCompleted]) -> list[bool]:
        """Whether each event's state is there, or has been: revisions only rise, a completion stays.

        Raises:
            Transient: the database does not answer.
        """
        stored = await self._store.enrollments({event.enrollment_id for event in events})
        return [_has_been(event, stored.get(event.enrollment_id)) for event in events]

    async def changes(self, course_ids: Collection[str]) -> dict[str, int]:
        """When each of these courses was changed last (epoch ms); one that never was is not in the answer.

        Raises:
            Transient: the database does not answer.
        """
        return {key: change.requested_at for key, change in (await self._store.changes(course_ids)).items()}

    async def latest_change(self) -> int:
        """When any course was changed last (epoch ms); 0 before the first change.

        Raises:
            Transient: the database does not answer.
        """
        return await self._store.latest_change()


def _has_been(event: EnrollmentProgressed | CourseCompleted, enrollment: Enrollment | None) -> bool:
    if enrollment is None:
        return False
    if isinstance(event, EnrollmentProgressed):
        return event.revision <= enrollment.revision
    return enrollment.progress.completed_at is not None


@asynccontextmanager
async def build_judge(settings: ServiceSettings, sift: Sift | None = None) -> AsyncIterator[Judge]:
    """A judge on the configured database, with the keys that the recalculator has seen; `sift` as above.

    Raises:
        Fatal: a setting cannot be used.
        Transient: the database, or the issuer's key set, does not answer.
    """
    resources = Resources("recalculator", settings, system_clock, read_only=True)
    async with resources.database(), resources.keys():
        yield Judge(MongoRecalculatorStore(resources.db, settings.mongo, sift), resources.verifier)
