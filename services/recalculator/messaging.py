"""Kafka on one side, the recalculator's handlers on the other; no rules."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from time import perf_counter
from typing import TypeAlias

import structlog

from services.recalculator.domain import (
    ENROLLMENT_NOT_FOUND,
    Enrollment,
    EnrollmentNotFound,
    Recalculated,
    Sweep,
)
from services.recalculator.handlers import recalculate_enrollments, request_sweeps, sweep_page
from services.recalculator.metrics import RecalculatorMetrics
from services.recalculator.ports import RecalculatorStore
from shared.clock import Clock
from shared.contracts.envelope import Cause
from shared.contracts.ids import deterministic_id
from shared.contracts.operators import CourseChanged, ProgressRecalculate
from shared.contracts.progress import LessonCompleted
from shared.contracts.recalculator import CourseCompleted, EnrollmentProgressed, ProgressRecalculated
from shared.contracts.topics import COURSE_COMPLETED, ENROLLMENT_PROGRESSED
from shared.errors import Fatal
from shared.kafka.produce import Publication, Publisher
from shared.kafka.records import Accepts, Event, Outcome, Received, partition_of, rejected

_log = structlog.get_logger()

ACCEPTS = {
    LessonCompleted.TYPE: Accepts(LessonCompleted),
    ProgressRecalculate.TYPE: Accepts(ProgressRecalculate, token=True, operator=True),
    CourseChanged.TYPE: Accepts(CourseChanged, token=True, operator=True),
}
#: Sweeps that one process works on, a page of each in turn.
_SWEEPS_AT_ONCE = 100

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


def enrollment_events(enrollment: Enrollment) -> list[Event]:
    """The events of a stored state: always the same ones, published on every handling."""
    key, progress = enrollment.enrollment_id, enrollment.progress
    learner = {"enrollment_id": key, "user_id": enrollment.user_id, "course_id": enrollment.course_id}
    progressed = EnrollmentProgressed(
        **learner,
        completed=progress.completed,
        total=progress.total,
        progress_percent=progress.percent,
        completed_at=progress.completed_at,
        revision=enrollment.revision,
    )
    event_id = deterministic_id(EnrollmentProgressed.TYPE, key, enrollment.revision)
    events = [Event(ENROLLMENT_PROGRESSED, key, progressed, event_id, enrollment.progressed_at)]
    if progress.completed_at is not None:
        completed = CourseCompleted(**learner, completed_at=progress.completed_at)
        event_id = deterministic_id(CourseCompleted.TYPE, key)
        events.append(Event(COURSE_COMPLETED, key, completed, event_id, progress.completed_at))
    return events


class Sweeps:
    """Carries out the stored sweeps in the background, a page of each in turn; several replicas may overlap."""

    def __init__(
        self,
        store: RecalculatorStore,
        publisher: Callable[[], Publisher],
        metrics: RecalculatorMetrics,
        clock: Clock,
        *,
        page: int,
        poll_seconds: float,
        requested: asyncio.Event,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._metrics = metrics
        self._clock = clock
        self._page = page
        self._poll_seconds = poll_seconds
        self._requested = requested
        # What an earlier process left unfinished is taken up at once.
        self._requested.set()

    async def run(self) -> None:
        """Wait until a sweep may be there, then carry out all of them; to be repeated in the background.

        A sweep that fails is set aside until the next run: a course that cannot be read holds up no other.

        Raises:
            Exception: the first failure of a sweep, when the others are done; the sweeps go on where they stood.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._requested.wait(), self._poll_seconds)
        self._requested.clear()
        failed: dict[str, Exception] = {}
        while True:
            # Those that failed are still open: they must not fill the list.
            sweeps = await self._store.open_sweeps(_SWEEPS_AT_ONCE + len(failed))
            self._metrics.open_sweeps.set(len(sweeps))
            going_on = [sweep for sweep in sweeps if sweep.course_id not in failed]
            if not going_on:
                break
            for sweep in going_on:
                if failure := await self._turn(sweep):
                    failed[sweep.course_id] = failure
        for failure in failed.values():
            raise failure

    async def _turn(self, sweep: Sweep) -> Exception | None:
        """The next page of a sweep; answers why it failed, if it did."""
        try:
            await self._sweep(sweep)
        except Fatal:
            raise
        except Exception as failure:  # noqa: BLE001 - raised when the others have had their turns
            self._metrics.failed_sweeps.inc()
            _log.warning("course.sweep_failed", courseId=sweep.course_id, reason=type(failure).__name__)
            return failure
        return None

    async def _sweep(self, sweep: Sweep) -> None:
        swept = await sweep_page(sweep, self._store, self._publish, page=self._page, now=self._clock())
        changed = sum(r.changed for r in swept)
        _log.info("course.swept", courseId=sweep.course_id, enrollments=len(swept), changed=changed)

    async def _publish(self, recalculated: Collection[Recalculated]) -> None:
        """Publish without `ce_causationid`: its absence says that no new completion is behind these events."""
        publications = [Publication(event, Cause()) for r in recalculated for event in enrollment_events(r.after)]
        for failure in await self._publisher().publish(publications):
            if failure is not None:
                raise failure
