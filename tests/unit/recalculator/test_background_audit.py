"""The audit in the background: slow, resumed by whoever is there, and right about what is healed."""

from dataclasses import dataclass, field, replace

import pytest
from prometheus_client import CollectorRegistry

from services.recalculator.auditing import BackgroundAudits, Pace
from services.recalculator.domain import MOST_KNOWN, BackgroundAudit
from services.recalculator.handlers import recalculate_enrollments
from services.recalculator.metrics import RecalculatorMetrics
from tests.support.fakes_recalculator import FakeRecalculatorStore
from tests.support.issuer import DAY, NOW
from tests.support.key_set import FakeClock

PACE = Pace(every_seconds=86_400, rate=2, page=1000, poll_seconds=30, settle_seconds=1)


@dataclass
class Time:
    """Time that passes only where somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Replica:
    """One recalculator's audit; the store outlives it."""

    def __init__(
        self, store: FakeRecalculatorStore, clock: FakeClock, *, name: str = "first", pace: Pace = PACE
    ) -> None:
        self.registry = CollectorRegistry()
        self.time = Time()
        metrics = RecalculatorMetrics(self.registry)
        self._audits = BackgroundAudits(
            store, metrics, clock, pace, name=name, monotonic=self.time, sleep=self.time.sleep
        )

    async def steps(self, count: int = 1) -> float | None:
        """Take so many turns; answers what the gauge shows then."""
        for _ in range(count):
            await self._audits.audit()
        return self.registry.get_sample_value("lesson_progress_drift_enrollments")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store() -> FakeRecalculatorStore:
    """Five enrollments, all of them right."""
    fake = FakeRecalculatorStore()
    await fake.course("course-1", ["lesson-0", "lesson-1"])
    for n in range(5):
        await fake.enroll(f"enrollment-{n}", f"learner-{n}", "course-1")
        await fake.complete(f"learner-{n}", "lesson-0")
    await recalculate_enrollments(list(fake.stored), fake)
    return fake


async def test_a_pass_goes_through_all_enrollments_no_faster_than_it_may(
    store: FakeRecalculatorStore, clock: FakeClock
) -> None:
    replica = Replica(store, clock)

    await replica.steps(3)

    assert (store.audit.running, store.audit.compared) == (False, 5)
    # Two a second; the last page ends the pass.
    assert replica.time.slept == [1.0, 1.0, PACE.poll_seconds]


async def test_a_pass_is_begun_once_a_day_and_nothing_is_written_in_between(
    store: FakeRecalculatorStore, clock: FakeClock
) -> None:
    replica = Replica(store, clock)
    await replica.steps(3)
    done = store.audit

    await replica.steps(2)
    assert store.audit == done

    clock.now += DAY
    await replica.steps()
    assert (store.audit.running, store.audit.started_at) == (True, clock.now)


@pytest.mark.parametrize("jump", [-400 * DAY, 400 * DAY, -2 * DAY])
async def test_a_clock_that_jumps_does_not_put_the_audit_off(
    store: FakeRecalculatorStore, clock: FakeClock, jump: int
) -> None:
    replica = Replica(store, clock)
    clock.now += jump
    await replica.steps(3)

    clock.now -= jump
    await replica.steps()

    assert (store.audit.running, store.audit.started_at) == (True, clock.now)


async def test_a_restarted_service_goes_on_where_the_audit_was_left(
    store: FakeRecalculatorStore, clock: FakeClock
) -> None:
    await Replica(store, clock, name="before").steps()
    assert store.audit.cursor == "enrollment-1"
    after = Replica(store, clock, name="after")

    for _ in range(10):
        if store.audit.holder == "before":
            await after.steps()

    assert store.audit.cursor == "enrollment-3"
    assert after.time.now - 1000.0 >= 3 * PACE.poll_seconds


async def test_only_one_of_several_replicas_is_at_it(store: FakeRecalculatorStore, clock: FakeClock) -> None:
    slow = replace(PACE, rate=1)
    first, second = Replica(store, clock, pace=slow), Replica(store, clock, name="second", pace=slow)

    await first.steps()
    for _ in range(5):
        await second.steps()
        await first.steps()

    assert store.audit.holder == "first"
    assert store.audit.compared == 5


async def test_of_two_steps_at_once_one_holds(store: FakeRecalculatorStore, clock: FakeClock) -> None:
    first, second = Replica(store, clock), Replica(store, clock, name="second")
    enrollments_after = store.enrollments_after

    async def meanwhile(*arguments: object, **options: object) -> object:
        store.enrollments_after = enrollments_after  # type: ignore[method-assign]
        await second.steps()
        return await enrollments_after(*arguments, **options)  # type: ignore[arg-type]

    store.enrollments_after = meanwhile  # type: ignore[assignment]
    await first.steps()

    assert (store.audit.holder, store.audit.revision, store.audit.compared) == ("second", 1, 2)


async def test_what_is_found_shows_at_once_and_goes_when_it_is_healed(
    store: FakeRecalculatorStore, clock: FakeClock
) -> None:
    for n in (0, 4):
        await store.complete(f"learner-{n}", "lesson-1")
    replica = Replica(store, clock)

    assert await replica.steps() == 1
    assert await replica.steps(2) == 2
    await recalculate_enrollments(["enrollment-4"], store)
    assert await replica.steps() == 1
    await recalculate_enrollments(["enrollment-0"], store)
    assert await replica.steps() == 0


async def test_every_replica_shows_what_the_one_that_is_at_it_found(
    store: FakeRecalculatorStore, clock: FakeClock
) -> None:
    await store.complete("learner-0", "lesson-1")
    await Replica(store, clock).steps(3)

    assert await Replica(store, clock, name="second").steps() == 1


async def test_what_the_last_pass_found_is_shown_while_the_next_one_runs(
    store: FakeRecalculatorStore, clock: FakeClock
) -> None:
    await store.complete("learner-4", "lesson-1")
    replica = Replica(store, clock)
    await replica.steps(3)

    clock.now += DAY

    assert [await replica.steps() for _ in range(3)] == [1, 1, 1]
    assert not store.audit.running


async def test_a_completion_on_its_way_is_no_drift(store: FakeRecalculatorStore, clock: FakeClock) -> None:
    await store.complete("learner-0", "lesson-1")
    replica = Replica(store, clock)
    sleep = replica.time.sleep

    async def arrives(seconds: float) -> None:
        await recalculate_enrollments(["enrollment-0"], store)
        await sleep(seconds)

    replica._audits._sleep = arrives

    assert await replica.steps(3) == 0


class TestManyDifferences:
    def found(self, count: int, audit: BackgroundAudit | None = None, *, last: bool = True) -> BackgroundAudit:
        ids = [f"enrollment-{n:06}" for n in range(count)]
        return (audit or BackgroundAudit()).begun(NOW).paged(ids, ids, last=last)

    def test_more_than_are_kept_are_counted(self) -> None:
        audit = self.found(MOST_KNOWN + 7)

        assert (len(audit.known), audit.differing) == (MOST_KNOWN, MOST_KNOWN + 7)

    def test_a_single_one_that_was_only_counted_is_counted_anew_as_well(self) -> None:
        audit = self.found(MOST_KNOWN + 1)

        assert audit.healed(audit.known).due(NOW, DAY)

    @pytest.mark.parametrize("last", [False, True], ids=["while it runs", "when it is over"])
    def test_a_second_pass_counts_none_of_them_twice(self, *, last: bool) -> None:
        assert self.found(MOST_KNOWN + 7, self.found(MOST_KNOWN + 7), last=last).differing == MOST_KNOWN + 7

    def test_those_that_were_only_counted_are_counted_anew_once_the_known_are_healed(self) -> None:
        audit = self.found(MOST_KNOWN + 7)
        assert not audit.due(NOW, DAY)

        healed = audit.healed(audit.known)

        assert healed.due(NOW, DAY)
        assert healed.begun(NOW).paged([], [], last=True).differing == 0


class TestPass:
    IDS = ("enrollment-1", "enrollment-2")

    def test_it_begins_at_the_first_enrollment_with_nothing_counted_and_keeps_what_is_known(self) -> None:
        before = BackgroundAudit(
            started_at=NOW - DAY, cursor="enrollment-9", compared=9, known=frozenset(self.IDS), more=3, more_before=5
        )

        assert before.begun(NOW) == BackgroundAudit(
            started_at=NOW, running=True, known=frozenset(self.IDS), more_before=5
        )

    def test_a_page_moves_it_to_the_last_of_its_enrollments(self) -> None:
        begun = BackgroundAudit(known=frozenset(["enrollment-0"])).begun(NOW)

        assert begun.paged(self.IDS, self.IDS[:1], last=False) == replace(
            begun, cursor="enrollment-2", compared=2, known=frozenset(["enrollment-0", "enrollment-1"])
        )

    def test_when_it_is_over_it_leaves_no_place_to_go_on_from_and_how_many_were_only_counted(self) -> None:
        running = replace(BackgroundAudit().begun(NOW), compared=7, more=3)

        assert running.paged(self.IDS, [], last=True) == BackgroundAudit(started_at=NOW, compared=9, more_before=3)
