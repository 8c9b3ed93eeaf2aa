"""Completions and operators' commands in, outcomes out; no rules."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from time import perf_counter
from typing import TypeAlias

from services.recalculator.domain import ENROLLMENT_NOT_FOUND, EnrollmentNotFound, Recalculated
from services.recalculator.handlers import recalculate_enrollments, request_sweeps
from services.recalculator.messaging.events import enrollment_events
from services.recalculator.metrics import RecalculatorMetrics
from services.recalculator.ports import RecalculatorStore
from shared.clock import Clock
from shared.contracts.operators import CourseChanged, ProgressRecalculate
from shared.contracts.progress import LessonCompleted
from shared.contracts.recalculator import ProgressRecalculated
from shared.kafka.records import Accepts, Outcome, Received, partition_of, rejected

ACCEPTS = {
    LessonCompleted.TYPE: Accepts(LessonCompleted),
    ProgressRecalculate.TYPE: Accepts(ProgressRecalculate, token=True, operator=True),
    CourseChanged.TYPE: Accepts(CourseChanged, token=True, operator=True),
}
Incoming: TypeAlias = Received[LessonCompleted | ProgressRecalculate | CourseChanged]


class RecalculatorMessages:
    """Completions and operators' commands in, outcomes out."""

    def __init__(
        self, store: RecalculatorStore, metrics: RecalculatorMetrics, clock: Clock, sweep_requested: asyncio.Event
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._sweep_requested = sweep_requested

    async def __call__(self, batch: Sequence[Incoming]) -> list[Outcome]:
        """Handle a batch of `lesson.completed.v1`, `progress.recalculate.v1` and `course.changed.v1`."""
        changes = [(r.message.course_id, r.at) for r in batch if isinstance(r.message, CourseChanged)]
        if changes:
            await request_sweeps(changes, self._store)
            self._sweep_requested.set()
        enrollment_ids = {e for r in batch if (e := _enrollment_id(r)) is not None}
        recalculated = await self._recalculate(enrollment_ids)
        now = self._clock()
        self._observe(batch, recalculated, now)
        carriers = _carriers(batch)
        return [_outcome(r, recalculated, now, events=i in carriers) for i, r in enumerate(batch)]

    async def _recalculate(self, enrollment_ids: Collection[str]) -> Mapping[str, Recalculated]:
        if not enrollment_ids:
            return {}
        started = perf_counter()
        recalculated = await recalculate_enrollments(enrollment_ids, self._store)
        self._metrics.recalculated(seconds=perf_counter() - started, enrollments=len(recalculated))
        return recalculated

    def _observe(self, batch: Sequence[Incoming], recalculated: Mapping[str, Recalculated], now: int) -> None:
        """Measure the facts that moved a percentage just now; a repeated one moved it before."""
        completions = {r.message.progress_id: r.message for r in batch if isinstance(r.message, LessonCompleted)}
        for completion in completions.values():
            result = recalculated.get(completion.enrollment_id)
            if result is not None and result.advanced_by(completion.completed_at):
                self._metrics.progressed(propagation_ms=now - completion.completed_at)


def _enrollment_id(received: Incoming) -> str | None:
    message = received.message
    return None if isinstance(message, CourseChanged) else message.enrollment_id


def _carriers(batch: Sequence[Incoming]) -> Collection[int]:
    """The places in the batch whose records carry their enrollment's events: the last one of it in each partition.

    Offsets are committed partition by partition, in order: when the carrier must wait, those before it may be
    committed, because it comes again and publishes for them; one in another partition would not come again.
    """
    last = {(partition_of(r.record), _enrollment_id(r)): i for i, r in enumerate(batch)}
    return set(last.values())


def _outcome(received: Incoming, recalculated: Mapping[str, Recalculated], now: int, *, events: bool) -> Outcome:
    message = received.message
    if isinstance(message, CourseChanged):
        return Outcome("sweep_requested", log_fields={"courseId": message.course_id})
    result = recalculated.get(message.enrollment_id)
    if result is None:
        if isinstance(message, ProgressRecalculate):
            return rejected(ENROLLMENT_NOT_FOUND)
        return Outcome("dead_letter", failure=EnrollmentNotFound())
    before, after = result.before.progress, result.after.progress
    reply = ProgressRecalculated(
        enrollment_id=message.enrollment_id, progress_percent=after.percent, completed_at=after.completed_at
    )
    return Outcome(
        "recalculated" if result.changed else "unchanged",
        events=enrollment_events(result.after) if events else (),
        reply=reply if isinstance(message, ProgressRecalculate) else None,
        log_event="progress.recalculated",
        log_fields={
            "enrollmentId": message.enrollment_id,
            "oldPercent": before.percent,
            "newPercent": after.percent,
            "timestamp": now,
        },
    )
