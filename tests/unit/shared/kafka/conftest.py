"""A loop whose handler does what each test says, over a log in memory, without real back-off."""

import asyncio
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.progress.messaging import ACCEPTS, lesson_completed
from shared.contracts.gateways import LessonComplete
from shared.kafka.records import Outcome, Received
from tests.support.builders import completion
from tests.support.fake_log import FakeLog
from tests.support.fake_verifier import FakeVerifier
from tests.support.key_set import FakeClock
from tests.support.process import Process


class Script:
    """A handler that records a lesson and publishes its event, unless the test says otherwise for this lesson."""

    def __init__(self) -> None:
        #: Raised, by lesson, when the lesson is in the batch.
        self.raising: dict[str, Exception] = {}
        #: The outcome, by lesson.
        self.outcomes: dict[str, Outcome] = {}
        #: The lessons of every call.
        self.batches: list[list[str]] = []

    async def __call__(self, batch: Sequence[Received[LessonComplete]]) -> list[Outcome]:
        lessons = [received.message.lesson_id for received in batch]
        self.batches.append(lessons)
        await asyncio.sleep(0)
        for lesson in lessons:
            if lesson in self.raising:
                raise self.raising[lesson]
        return [self.outcomes.get(lesson) or recorded(lesson) for lesson in lessons]

    @property
    def handled(self) -> list[str]:
        """Every lesson in every call."""
        return [lesson for lessons in self.batches for lesson in lessons]


def recorded(lesson: str) -> Outcome:
    """The outcome of a lesson that was recorded."""
    return Outcome("recorded", events=[lesson_completed(completion(lesson_id=lesson))])


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def log(clock: FakeClock) -> FakeLog:
    return FakeLog(clock, partitions=2)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def verifier() -> FakeVerifier:
    return FakeVerifier()


@pytest.fixture
def process(log: FakeLog, script: Script, verifier: FakeVerifier, clock: FakeClock) -> Process:
    return Process(log, accepts=ACCEPTS, handler=script, verifier=verifier, clock=clock)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """Every line that was logged."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the tries after which the loop waited; the waiting itself takes no time."""
    attempts: list[int] = []

    def at_once(attempt: int) -> float:
        attempts.append(attempt)
        return 0.0

    monkeypatch.setattr("shared.kafka.consume.backoff", at_once)
    return attempts
