"""A log during an outage: the first line of each kind, how often it came again, and no flood."""

from typing import Any

import pytest
from structlog import DropEvent

from shared.observability.repeats import LIBRARY_LINES, SILENT_SECONDS, Repeats


class Log:
    """What is written, at a time that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.written: list[dict[str, Any]] = []
        self._repeats = Repeats(lambda: self.now)

    def say(self, event: str, *, level: str = "warning", **fields: Any) -> None:
        line = {"event": event, "level": level, "timestamp": self.now, **fields}
        try:
            self.written.append(dict(self._repeats(None, "", line)))
        except DropEvent:
            return

    def library(self, message: str, logger: str = "aiokafka.conn") -> None:
        self.say("library", level="error", logger=logger, message=message)


@pytest.fixture
def log() -> Log:
    return Log()


def test_the_same_warning_is_written_once_a_minute_and_says_how_often_it_came(log: Log) -> None:
    for attempt in range(1, 21):
        log.say("record.waits", error="DatabaseAway", attempt=attempt, partition=attempt % 6, offset=attempt)
    log.now = SILENT_SECONDS
    log.say("record.waits", error="DatabaseAway", attempt=21, partition=0, offset=1)

    assert [(line["attempt"], line.get("repeated")) for line in log.written] == [(1, None), (21, 19)]


def test_what_differs_is_written(log: Log) -> None:
    log.say("record.waits", error="DatabaseAway", topic="progress.commands")
    log.say("record.waits", error="NotPublished", topic="progress.commands")
    log.say("record.waits", error="NotPublished", topic="course.completed")
    for number in range(100):
        log.say("enrollment.unreadable", enrollmentId=f"e{number}")

    assert len(log.written) == 103


def test_a_line_for_each_record_is_never_left_out(log: Log) -> None:
    for _ in range(100):
        log.say("lesson.completed", level="info", userId="u")

    assert len(log.written) == 100


def test_a_library_writes_a_few_lines_a_minute_whatever_it_says(log: Log) -> None:
    log.library("Unable connect to node with id %s: %s")
    for number in range(20):
        log.library("Unable connect to node with id %s: %s")
        log.library(f"another {number}", logger="aiokafka.consumer.fetcher")
    log.library("the pool is full", logger="pymongo.pool")

    assert [line["message"] for line in log.written] == [
        "Unable connect to node with id %s: %s",
        *(f"another {number}" for number in range(LIBRARY_LINES - 1)),
        "the pool is full",
    ]

    log.now = SILENT_SECONDS
    log.library("connected")

    assert log.written[-1]["repeated"] == 20 - (LIBRARY_LINES - 1)


def test_a_library_that_says_one_thing_again_and_again_has_it_counted(log: Log) -> None:
    for _ in range(20):
        log.library("Unable connect to node with id %s: %s")
    log.now = SILENT_SECONDS
    log.library("Unable connect to node with id %s: %s")

    assert [line.get("repeated") for line in log.written] == [None, 19]


def test_many_different_warnings_are_not_all_remembered(log: Log) -> None:
    for number in range(5000):
        log.say("enrollment.unreadable", enrollmentId=f"e{number}")

    assert len(log._repeats._said) <= 1000
