"""Changed courses, carried out beside the loop."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress

import structlog

from services.recalculator.domain import Recalculated, Sweep
from services.recalculator.handlers import sweep_page
from services.recalculator.messaging.events import enrollment_events
from services.recalculator.metrics import RecalculatorMetrics
from services.recalculator.ports import RecalculatorStore
from shared.clock import Clock
from shared.contracts.envelope import Cause
from shared.errors import Fatal
from shared.kafka.produce import Publication, Publisher

_log = structlog.get_logger()

#: Sweeps that one process works on, a page of each in turn.
_SWEEPS_AT_ONCE = 100


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
