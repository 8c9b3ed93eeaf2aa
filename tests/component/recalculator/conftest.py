"""A recalculator over a log in memory and a store with a course of four lessons and one learner in it."""

import pytest

from tests.support.fake_log import FakeLog
from tests.support.fakes_recalculator import FakeRecalculatorStore
from tests.support.key_set import FakeClock
from tests.support.recalculating import Recalculating


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def log(clock: FakeClock) -> FakeLog:
    return FakeLog(clock, partitions=2)


@pytest.fixture
async def store() -> FakeRecalculatorStore:
    fake = FakeRecalculatorStore()
    await fake.course("course-1", [f"lesson-{n}" for n in range(4)])
    await fake.enroll("enrollment-1", "learner-1", "course-1")
    return fake


@pytest.fixture
def recalculator(log: FakeLog, store: FakeRecalculatorStore, clock: FakeClock) -> Recalculating:
    return Recalculating(log, store, clock)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.kafka.consume.backoff", lambda _attempt: 0.0)
