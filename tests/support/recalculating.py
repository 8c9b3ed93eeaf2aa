"""A recalculator over a log and a store in memory, and the records it is given."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from services.recalculator.messaging import ACCEPTS, RecalculatorMessages, Sweeps
from services.recalculator.metrics import RecalculatorMetrics
from shared.contracts.ids import progress_id
from shared.contracts.operators import CourseChanged, ProgressRecalculate
from shared.contracts.progress import LessonCompleted
from shared.contracts.topics import (
    COURSE_COMPLETED,
    ENROLLMENT_PROGRESSED,
    LESSON_COMPLETED,
    PROGRESS_REPLIES,
    RECALCULATION_COMMANDS,
)
from shared.kafka.produce import Publisher
from shared.kafka.records import Record
from tests.support.builders import event, operator_command
from tests.support.fake_log import FakeLog
from tests.support.fakes_recalculator import FakeRecalculatorStore
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock
from tests.support.process import Process


class Recalculating:
    """One running recalculator: its loop and its sweeps; the log and the store outlive it."""

    def __init__(self, log: FakeLog, store: FakeRecalculatorStore, clock: FakeClock, *, page: int = 2) -> None:
        registry = CollectorRegistry()
        metrics = RecalculatorMetrics(registry)
        requested = asyncio.Event()
        self.process = Process(
            log,
            service="recalculator",
            accepts=ACCEPTS,
            handler=RecalculatorMessages(store, metrics, clock, requested),
            clock=clock,
            registry=registry,
        )
        self.requested = requested
        self.sweeps = Sweeps(
            store,
            lambda: Publisher(self.process.producer, service="recalculator"),
            metrics,
            clock,
            page=page,
            poll_seconds=0.01,
            requested=requested,
        )

    async def run(self) -> None:
        """Handle every record, then carry out what was requested."""
        await self.process.run()
        await self.sweeps.run()


def completed(
    lesson_id: str = "lesson-0",
    user_id: str = "learner-1",
    enrollment_id: str = "enrollment-1",
    *,
    at: int = NOW,
    **changed: Any,
) -> Record:
    """`lesson.completed.v1` as progress publishes it."""
    identity = progress_id(user_id, lesson_id)
    message = LessonCompleted(
        progress_id=identity,
        user_id=user_id,
        lesson_id=lesson_id,
        course_id="course-1",
        enrollment_id=enrollment_id,
        completed_at=at,
    )
    return event(message, LESSON_COMPLETED, event_id=f"completed:{lesson_id}", key=enrollment_id, **changed)


def recalculate_command(enrollment_id: str = "enrollment-1", **changed: Any) -> Record:
    """`progress.recalculate.v1` from an operator, who waits for the reply."""
    record = operator_command(ProgressRecalculate(enrollment_id=enrollment_id), RECALCULATION_COMMANDS, **changed)
    return replace(record, headers=(*record.headers, ("reply-to", PROGRESS_REPLIES.encode())))


def course_changed(course_id: str = "course-1", **changed: Any) -> Record:
    """`course.changed.v1` from the course platform."""
    return operator_command(CourseChanged(course_id=course_id), RECALCULATION_COMMANDS, **changed)


def published(log: FakeLog, topic: str) -> list[dict[str, Any]]:
    """The data of every message of a topic."""
    return [orjson.loads(record.value or b"") for record in log.read(topic)]


def header(record: Record, name: str) -> str | None:
    """A header as text."""
    return next((value.decode() for key, value in record.headers if key == name), None)


def events(log: FakeLog) -> list[Record]:
    """Every event, of both kinds."""
    return [*log.read(ENROLLMENT_PROGRESSED), *log.read(COURSE_COMPLETED)]
