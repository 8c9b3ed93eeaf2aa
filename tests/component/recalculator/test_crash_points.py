"""A recalculator that is stopped before and after every single effect: its successor finishes, nothing is lost."""

import asyncio
from dataclasses import dataclass, field

from services.recalculator.domain import Fact, recalculate
from shared.contracts.topics import COURSE_COMPLETED, ENROLLMENT_PROGRESSED, consumed_by
from tests.support.fake_log import FakeLog
from tests.support.fakes_recalculator import FakeRecalculatorStore
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock
from tests.support.recalculating import Recalculating, completed, course_changed, events, header, published
from tests.support.steps import Steps


@dataclass
class World:
    """What outlives a process: three learners, one of them done, one to be completed by a change of the course."""

    steps: Steps = field(default_factory=Steps)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.log = FakeLog(self.clock, partitions=2)
        self.store = FakeRecalculatorStore(steps=self.steps)

    async def begin(self) -> None:
        await self.store.course("course-1", ["lesson-0", "lesson-1", "lesson-2"])
        for n in range(3):
            await self.store.enroll(f"enrollment-{n}", f"learner-{n}", "course-1")
        await self.store.complete("learner-0", "lesson-0", "lesson-1", "lesson-2", at=NOW - 2)
        await self.store.complete("learner-1", "lesson-0", "lesson-1", at=NOW - 1)
        self.log.add(
            completed("lesson-0", "learner-0", "enrollment-0"),
            completed("lesson-2", "learner-0", "enrollment-0", partition=1),
            completed("lesson-0", "learner-1", "enrollment-1"),
            completed("lesson-1", "learner-1", "enrollment-1"),
        )

    async def change(self) -> None:
        await self.store.course("course-1", ["lesson-0", "lesson-1"])
        self.log.add(course_changed(timestamp=NOW))

    async def live(self) -> None:
        """One process from its start until everything is done, or until it is stopped."""
        recalculator = Recalculating(self.log, self.store, self.clock, steps=self.steps)
        life = asyncio.create_task(self._life(recalculator))

        async def stop() -> None:
            life.cancel()
            await asyncio.sleep(0)

        self.steps.stop = stop
        await asyncio.wait({life})
        recalculator.process.crash()
        if not life.cancelled():
            life.result()

    async def _life(self, recalculator: Recalculating) -> None:
        await recalculator.process.run()
        if not self.store.sweeps:
            await self.change()
            await recalculator.process.run()
        await recalculator.sweeps.run()


async def _lived(stop_at: int | None) -> World:
    world = World()
    await world.begin()
    world.steps.at = stop_at
    await world.live()
    if stop_at is not None:
        world.steps.at = None
        await world.live()
    return world


def _check(world: World) -> None:
    """Everything is right, told, committed; the same event is the same."""
    log, store = world.log, world.store
    for enrollment in store.stored.values():
        facts = [
            Fact(lesson_id, at) for (user_id, lesson_id), at in store.records.items() if user_id == enrollment.user_id
        ]
        assert recalculate(enrollment, set(store.catalog), facts) is enrollment
        told = [e for e in published(log, ENROLLMENT_PROGRESSED) if e["enrollmentId"] == enrollment.enrollment_id]
        assert max(e["revision"] for e in told) == enrollment.revision
    assert store.stored["enrollment-0"].progress.completed_at == NOW - 2
    assert store.stored["enrollment-1"].progress.completed_at == NOW
    assert {(e["enrollmentId"], e["completedAt"]) for e in published(log, COURSE_COMPLETED)} == {
        ("enrollment-0", NOW - 2),
        ("enrollment-1", NOW),
    }
    bytes_of: dict[str | None, set[object]] = {}
    for event in events(log):
        bytes_of.setdefault(header(event, "ce_id"), set()).add((event.value, event.key, header(event, "ce_time")))
    assert all(len(copies) == 1 for copies in bytes_of.values())
    assert log.behind(consumed_by("recalculator")) == {}
    assert store.sweeps["course-1"].finished_at is not None


async def test_without_a_crash_everything_is_right_in_the_end() -> None:
    _check(await _lived(None))


async def test_a_crash_at_any_step_is_repaired_by_the_next_process() -> None:
    steps = len((await _lived(None)).steps.names)
    assert steps > 40
    for stop_at in range(steps):
        world = await _lived(stop_at)
        try:
            _check(world)
        except AssertionError as failure:
            raise AssertionError(f"stopped at {stop_at}, {world.steps.names[stop_at]}") from failure
