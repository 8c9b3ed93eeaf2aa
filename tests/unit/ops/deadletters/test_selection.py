"""Which letters an operator's words mean."""

from dataclasses import replace

import pytest

from ops.deadletters.letter import Known, Letter, State
from ops.deadletters.selection import moment, selection
from ops.errors import OperatorError
from shared.kafka.deadletter import Position
from tests.support.issuer import NOW

LETTER = Letter(
    service="progress",
    position=Position("progress.commands", 3, 41),
    stands=Position("progress.deadletters", 0, 7),
    error="UnknownType",
    type="lesson.complete.v2",
    key=b"learner-1",
    time=NOW - 9_000,
    died_at=NOW,
    attempts=1,
    version="1.2.3",
    replays=0,
    bytes=2,
    value_dropped=False,
)


def takes(letter: Letter, *positions: str, **words: str) -> bool:
    return selection(positions, now=NOW, **words).takes(Known(letter, 1, 0, State.OPEN))


@pytest.mark.parametrize(
    ("word", "meant", "other"),
    [
        ("service", "progress", "certificates"),
        ("error", "UnknownType", "Unknown"),
        ("key", "learner-1", "learner-11"),
        ("message_type", "lesson.complete.v2", "lesson.complete.v1"),
        ("since", "0s", "2099-01-01"),
        ("until", "2099-01-01", "0s"),
    ],
)
def test_a_letter_is_found_by_each_word_and_by_all_together(word: str, meant: str, other: str) -> None:
    everything = {"service": "progress", "error": "UnknownType", "key": "learner-1", "until": "2099-01-01"}
    assert takes(LETTER, **{word: meant})
    assert takes(LETTER, **{**everything, word: meant})
    assert not takes(LETTER, **{**everything, word: other})


@pytest.mark.parametrize("named", ["progress.commands:3:41", "progress.deadletters:0:7"])
def test_a_letter_is_named_by_where_its_record_stood_or_by_where_it_stands(named: str) -> None:
    assert takes(LETTER, named)
    assert takes(LETTER, named, "progress.commands:0:0")
    assert not takes(replace(LETTER, position=Position("a", 0, 0), stands=Position("a", 0, 1)), named)


def test_a_letter_without_a_key_is_found_by_no_key() -> None:
    assert not takes(replace(LETTER, key=None), key="")
    assert takes(replace(LETTER, key=b""), key="")


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("30s", NOW - 30_000),
        ("2h", NOW - 7_200_000),
        ("3d", NOW - 259_200_000),
        ("2027-01-15T08:00", 1_800_000_000_000),
        ("2027-01-15T08:00Z", 1_800_000_000_000),
        ("2027-01-15T10:00+02:00", 1_800_000_000_000),
        (None, None),
    ],
)
def test_a_moment_is_so_long_ago_or_a_time_in_utc(said: str | None, at: int | None) -> None:
    assert moment(said, now=NOW) == at


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"since": "yesterday"}, "is no time"),
        ({"until": "99999999d"}, "is no time"),
        ({"service": "gateway"}, "there is no service 'gateway'"),
    ],
)
def test_a_word_that_means_nothing_is_refused(words: dict[str, str], sentence: str) -> None:
    with pytest.raises(OperatorError, match=sentence):
        selection(now=NOW, **words)


@pytest.mark.parametrize("said", ["", "progress.commands", "progress.commands:3", "a:b:c", "a:1:-1", "a:1:2 ", ":1:2"])
def test_what_is_no_position_is_refused(said: str) -> None:
    with pytest.raises(OperatorError, match="is no position"):
        selection([said], now=NOW)
