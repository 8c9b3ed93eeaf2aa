"""How operators look into progress: verification, in processes of their own that only read."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from services.progress.messaging import ACCEPTS, lesson_completed, verdicts
from services.progress.ports import ProgressRecords
from services.progress.storage import MongoProgressStore
from shared.clock import Clock, system_clock
from shared.contracts.progress import LessonCompleted
from shared.identity import TokenVerifier
from shared.kafka.judging import Fact, RecordJudge
from shared.mongo.batches import Sift
from shared.resources import Resources
from shared.settings import ServiceSettings


class Judge:
    """Says what must have become of commands, and which events the records ask for; it only reads."""

    def __init__(
        self, store: ProgressRecords, verifier: TokenVerifier, clock: Clock = system_clock, *, page: int = 1000
    ) -> None:
        self._store = store
        self._page = page
        self.records = RecordJudge("progress", ACCEPTS, verifier, clock, partial(verdicts, store=store))

    async def count(self) -> int:
        """About how many records there are."""
        return await self._store.record_count()

    async def facts(self) -> AsyncIterator[list[Fact]]:
        """Every record with its event, page by page.

        Raises:
            Transient: the database does not answer.
        """
        last = None
        while page := await self._store.recorded_after(last, self._page):
            yield [Fact(c.progress_id, c.enrollment_id, [lesson_completed(c)]) for c in page]
            last = page[-1].progress_id

    async def stand(self, events: Sequence[LessonCompleted]) -> list[bool]:
        """Whether each event's fact is there.

        Raises:
            Transient: the database does not answer.
        """
        stored = await self._store.recorded({event.progress_id for event in events})
        return [event.progress_id in stored for event in events]


@asynccontextmanager
async def build_judge(settings: ServiceSettings, sift: Sift | None = None) -> AsyncIterator[Judge]:
    """A judge on the configured database, with the keys that progress has seen; `sift` chooses what it reads there.

    Raises:
        Fatal: a setting cannot be used.
        Transient: the database, or the issuer's key set, does not answer.
    """
    resources = Resources("progress", settings, system_clock, read_only=True)
    async with resources.database(), resources.keys():
        yield Judge(MongoProgressStore(resources.db, settings.mongo, sift), resources.verifier)
