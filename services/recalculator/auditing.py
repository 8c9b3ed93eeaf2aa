"""The audit in the background: slowly through all enrollments, one replica at a time, from where it was left."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

import structlog

from services.recalculator.domain import BackgroundAudit
from services.recalculator.handlers import settled, suspected
from services.recalculator.metrics import RecalculatorMetrics
from services.recalculator.ports import RecalculatorStore
from shared.clock import Clock

_log = structlog.get_logger()

#: Polls without a step of whoever took the last one, after which another replica takes over.
_PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Pace:
    """How much the audit may ask of the database, and how often."""

    #: A pass begins once in so many seconds.
    every_seconds: float
    #: Enrollments a second, and at once, at most.
    rate: int
    page: int
    #: Between two looks at what is known, and at whether there is something to do, in seconds.
    poll_seconds: float
    #: How long a difference may be a completion on its way, in seconds.
    settle_seconds: float


class BackgroundAudits:
    """Counts the enrollments that differ from their facts; several replicas share one audit.

    Its state is stored with every step, so whoever goes on goes on from there. Who took the last step takes the next;
    another one does when the stored revision has stood still for a few polls by its own, monotonic time: no clock of
    two machines is ever compared. Steps are conditional, so an overlap costs a page and changes nothing.
    """

    def __init__(
        self,
        store: RecalculatorStore,
        metrics: RecalculatorMetrics,
        clock: Clock,
        pace: Pace,
        *,
        name: str,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`name` tells this process from every other one."""
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._pace = pace
        self._name = name
        self._monotonic = monotonic
        self._sleep = sleep
        #: The revision that others left, and since when it has stood still.
        self._seen: tuple[int, float] | None = None
        self._known_at: float | None = None

    async def audit(self) -> None:
        """Take one step, or wait until there may be one to take; to be repeated in the background."""
        audit = await self._store.background_audit()
        self._metrics.drift.set(audit.differing)
        now = self._clock()
        begun = audit.begun(now) if audit.due(now, int(self._pace.every_seconds * 1000)) else audit
        work = begun.running or bool(begun.known)
        started = self._monotonic()
        taken = await self._step(audit, begun) if work and not self._others_are_at_it(audit) else None
        if taken is not None and taken.running:
            until = started + (taken.compared - begun.compared) / self._pace.rate
            await self._sleep(max(0.0, until - self._monotonic()))
        else:
            await self._sleep(self._pace.poll_seconds)

    async def _step(self, audit: BackgroundAudit, begun: BackgroundAudit) -> BackgroundAudit | None:
        """The state after one step, or None where another replica took one meanwhile."""
        after = await self._next(begun)
        taken = replace(after, revision=audit.revision + 1, holder=self._name)
        if not await self._store.advance_background_audit(audit, taken):
            return None
        self._metrics.drift.set(taken.differing)
        if begun.running and not taken.running:
            _log.info("drift.audited", enrollments=taken.compared, differing=taken.differing)
        return taken

    def _others_are_at_it(self, audit: BackgroundAudit) -> bool:
        if audit.holder in {None, self._name}:
            return False
        now = self._monotonic()
        if self._seen is None or self._seen[0] != audit.revision:
            self._seen = (audit.revision, now)
        return now - self._seen[1] < _PATIENCE * self._pace.poll_seconds + self._pace.settle_seconds

    async def _next(self, audit: BackgroundAudit) -> BackgroundAudit:
        """After a look at what is known, if it is time for one, and a page of the pass, if there is one."""
        now = self._monotonic()
        if self._known_at is None or now - self._known_at >= self._pace.poll_seconds or not audit.running:
            self._known_at = now
            audit = await self._look_again(audit)
        return await self._page(audit) if audit.running else audit

    async def _look_again(self, audit: BackgroundAudit) -> BackgroundAudit:
        if not audit.known:
            return audit
        enrollments = await self._store.enrollments(audit.known)
        return audit.healed(audit.known - (await suspected(enrollments.values(), self._store)).keys())

    async def _page(self, audit: BackgroundAudit) -> BackgroundAudit:
        # No more at once than a second allows: the next step is never far, and nobody takes this one for dead.
        size = min(self._pace.page, self._pace.rate)
        enrollments = await self._store.enrollments_after(audit.cursor, size)
        suspects = await suspected(enrollments, self._store)
        settle = partial(self._sleep, self._pace.settle_seconds)
        found = [d.enrollment_id for d in await settled(suspects, self._store, settle)]
        return audit.paged([e.enrollment_id for e in enrollments], found, last=len(enrollments) < size)
