"""The composition root of progress: the one place where adapters meet handlers; tests call it too."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.progress.http import router
from services.progress.messaging import ACCEPTS, ProgressMessages, lesson_completed, verdicts
from services.progress.metrics import ProgressMetrics
from services.progress.ports import ProgressRecords, ProgressStore
from services.progress.settings import Settings
from services.progress.storage import MongoProgressStore
from shared.clock import Clock, system_clock
from shared.contracts.progress import LessonCompleted
from shared.identity import TokenVerifier
from shared.kafka.assembly import KafkaSide
from shared.kafka.judging import Fact, RecordJudge
from shared.mongo.batches import Sift
from shared.resources import Resources
from shared.service import Service
from shared.settings import ServiceSettings


def build_app(
    settings: Settings,
    *,
    store: ProgressStore | None = None,
    clock: Clock = system_clock,
    registry: CollectorRegistry | None = None,
) -> Service:
    """Wire progress; nothing is opened before the service runs.

    Raises:
        Fatal: a setting cannot be used.
    """
    registry = registry or CollectorRegistry()
    resources = Resources("progress", settings, clock)
    mongo_store = MongoProgressStore(resources.db, settings.mongo)
    messages = ProgressMessages(store or mongo_store, ProgressMetrics(registry), clock)
    kafka = KafkaSide(
        "progress",
        settings=settings.kafka,
        batch_size=settings.progress.batch_size,
        accepts=ACCEPTS,
        handler=messages,
        observer=messages.observe,
        verifier=resources.verifier,
        clock=clock,
        registry=registry,
        fatal=lambda failure: service.fail(failure),  # noqa: PLW0108 - the service is made below
    )
    http = FastAPI(title="Lesson Progress: progress", version=resources.version, docs_url=None, redoc_url=None)
    http.include_router(router(store or mongo_store, resources.verifier, clock))
    resources.serve_operations(http, kafka=kafka, registry=registry)
    service = Service(
        name="progress",
        http=http,
        http_settings=settings.progress.http,
        resources=(lambda: resources.database(mongo_store.prepare), resources.keys),
        consuming=kafka,
        background=(kafka.watch_lag, kafka.watch_connection, resources.watch_database, resources.watch_keys),
    )
    return service


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
