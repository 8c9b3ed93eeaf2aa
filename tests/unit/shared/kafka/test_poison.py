"""Poison: what can never be handled is a dead letter, byte for byte, and its neighbours never notice."""

import hashlib

import orjson
import pytest

from shared.contracts.topics import COMMAND_BYTES, DEAD_LETTER_BYTES, LESSON_COMPLETED, PROGRESS_COMMANDS
from shared.kafka.records import Record
from tests.support.builders import Header, command, envelope, last_header, record, token
from tests.support.fake_log import FakeLog
from tests.support.issuer import NOW
from tests.support.process import Process
from tests.unit.shared.kafka.conftest import Script, recorded

DEAD_LETTERS = "progress.deadletters"

NOT_UTF8 = b"\xff\xfe\x00"
AUTH: Header = ("authorization", token())


def event_of(lesson: str) -> bytes:
    return recorded(lesson).events[0].message.to_json()


POISON = {
    "broken JSON": command(value=b'{"lessonId": '),
    "no object": command(value=b'["lesson-1"]'),
    "not UTF-8": command(value=b'{"lessonId": "\xff"}'),
    "null value": command(value=None),
    "empty value": command(value=b""),
    "missing field": command(value=b"{}"),
    "wrong type": command(value=b'{"lessonId": 7}'),
    "snake case": command(value=b'{"lesson_id": "lesson-1"}'),
    "empty id": command(value=b'{"lessonId": ""}'),
    "NUL in an id": command(value=b'{"lessonId": "a\\u0000b"}'),
    "lone surrogate": command(value=b'{"lessonId": "\\ud800"}'),
    "too large": command(value=b" " * (COMMAND_BYTES + 1)),
    "no type": record(headers=[AUTH]),
    "null type": record(headers=[AUTH, ("ce_type", None)]),
    "type twice": record(headers=[AUTH, ("ce_type", b"lesson.complete.v1"), ("ce_type", b"lesson.complete.v1")]),
    "type not UTF-8": record(headers=[AUTH, ("ce_type", NOT_UTF8)]),
    "type in upper case": record(headers=[AUTH, ("CE_TYPE", b"lesson.complete.v1")]),
    "unknown type": record(headers=[*envelope("lesson.forget.v1"), AUTH]),
    "unknown major version": record(headers=[*envelope("lesson.complete.v2"), AUTH]),
    "another service's type": record(headers=[*envelope("lesson.completed.v1"), AUTH]),
    "another content type": record(headers=[*envelope(content_type="text/plain"), AUTH]),
    "structured mode": record(headers=[*envelope(content_type="application/cloudevents+json"), AUTH]),
    "null content type": record(headers=[*envelope(content_type=None), AUTH]),
    "no headers": record(),
    "nothing at all": record(key=None, value=None),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "in the middle", "last"])
async def test_poison_alone_becomes_a_dead_letter_wherever_it_stands(
    process: Process, log: FakeLog, poison: Record, place: int
) -> None:
    batch = [command("lesson-1"), command("lesson-2")]
    batch.insert(place, poison)
    log.add(*batch)

    await process.run()

    [letter] = log.read(DEAD_LETTERS)
    assert last_header(letter, "x-dead-letter-offset") == str(place)
    assert {r.value for r in log.read(LESSON_COMPLETED)} == {event_of("lesson-1"), event_of("lesson-2")}
    assert not log.behind([PROGRESS_COMMANDS])


BYTES_TO_KEEP = {
    "null key": command(value=b"{", key=None),
    "null value": command(value=None),
    "null key and value": record(key=None, value=None),
    "empty key and value": record(key=b"", value=b""),
    "null header": record(headers=[("weird", None)]),
    "repeated headers in their order": record(headers=[("a", b"1"), ("b", b"2"), ("a", b"3")]),
    "headers that are not UTF-8": record(headers=[("ce_id", NOT_UTF8), ("x", bytes(range(256)))], value=NOT_UTF8),
    "an empty header name": record(headers=[("", b"")]),
    "a header name in many scripts": record(headers=[("ключ-鍵-🔑", b"1")]),
    "a sender's own dead letter headers": record(headers=[("x-dead-letter-offset", b"999")]),
    "a value of 300 KiB": command(value=b"v" * 300 * 1024),
}


@pytest.mark.parametrize("poison", BYTES_TO_KEEP.values(), ids=BYTES_TO_KEEP.keys())
async def test_a_dead_letter_keeps_key_value_and_headers_byte_for_byte(
    process: Process, log: FakeLog, poison: Record
) -> None:
    log.add(poison)

    await process.run()

    [letter] = log.read(DEAD_LETTERS)
    assert (letter.key, letter.value) == (poison.key, poison.value)
    assert letter.headers[: len(poison.headers)] == poison.headers
    assert last_header(letter, "x-dead-letter-offset") == "0"


async def test_a_dead_letter_says_where_it_came_from_and_why(process: Process, log: FakeLog) -> None:
    log.add(command("lesson-1", partition=1), command(partition=1, value=b"secret words", timestamp=NOW - 5))

    await process.run()

    [letter] = log.read(DEAD_LETTERS)
    assert letter.headers[-9:] == (
        ("x-dead-letter-topic", b"progress.commands"),
        ("x-dead-letter-partition", b"1"),
        ("x-dead-letter-offset", b"1"),
        ("x-dead-letter-timestamp", str(NOW - 5).encode()),
        ("x-dead-letter-group", b"progress"),
        ("x-dead-letter-error", b"InvalidPayload"),
        ("x-dead-letter-attempts", b"1"),
        ("x-dead-letter-first-failed-at", str(NOW).encode()),
        ("x-dead-letter-version", b"1.2.3"),
    )


@pytest.mark.parametrize(
    ("poison", "error"),
    [
        ("too large", "TooLarge"),
        ("no type", "UnreadableEnvelope"),
        ("structured mode", "UnreadableEnvelope"),
        ("unknown major version", "UnknownType"),
        ("broken JSON", "InvalidPayload"),
    ],
)
async def test_a_dead_letter_is_counted_by_topic_and_class_of_error(
    process: Process, log: FakeLog, poison: str, error: str
) -> None:
    log.add(POISON[poison])

    await process.run()

    assert process.metric("lesson_progress_dead_letters_total", topic=PROGRESS_COMMANDS, error=error) == 1


async def test_what_is_too_large_even_for_the_dead_letters_is_kept_by_its_digest(
    process: Process, log: FakeLog
) -> None:
    # A compressed batch may hold a record far larger than its topic's limit.
    value = b"v" * (DEAD_LETTER_BYTES + 1)
    log.add(record(value=value, headers=[("a", b"1")]), command("lesson-1"))

    await process.run()

    [letter] = log.read(DEAD_LETTERS)
    assert (letter.key, letter.value, letter.headers[0]) == (b"learner-1", None, ("a", b"1"))
    assert last_header(letter, "x-dead-letter-value-sha256") == hashlib.sha256(value).hexdigest()
    assert last_header(letter, "x-dead-letter-value-bytes") == str(len(value))
    assert process.metric("lesson_progress_dead_letters_truncated_total") == 1
    assert not log.behind([PROGRESS_COMMANDS])


@pytest.mark.parametrize(
    "monster",
    [
        record(headers=[("big", b"h" * (DEAD_LETTER_BYTES + 1))]),
        record(key=b"k" * (DEAD_LETTER_BYTES + 1)),
        record(headers=[("n" * (DEAD_LETTER_BYTES + 1), None)]),
        record(headers=[("n", None)] * (DEAD_LETTER_BYTES // 8)),
    ],
    ids=["header", "key", "header name", "number of headers"],
)
async def test_a_record_whose_headers_alone_are_too_large_does_not_hold_its_partition(
    process: Process, log: FakeLog, monster: Record
) -> None:
    log.add(monster, command("lesson-1"))

    await process.run(batches=50)

    [letter] = log.read(DEAD_LETTERS)
    assert last_header(letter, "x-dead-letter-offset") == "0"
    assert not log.behind([PROGRESS_COMMANDS])


async def test_unknown_fields_and_headers_are_accepted(process: Process, log: FakeLog, script: Script) -> None:
    value = orjson.dumps({"lessonId": "lesson-1", "colour": "green", "lesson_id": "other"})
    log.add(command(value=value, headers=[("x-anything", NOT_UTF8), ("x-anything", None), ("", b"")]))

    await process.run()

    assert script.handled == ["lesson-1"]
    assert log.read(DEAD_LETTERS) == []


async def test_a_value_of_exactly_the_limit_is_read(process: Process, log: FakeLog, script: Script) -> None:
    padding = COMMAND_BYTES - len(b'{"lessonId":"lesson-1"}')
    log.add(command(value=b'{"lessonId":"lesson-1"' + b" " * padding + b"}"))

    await process.run()

    assert script.handled == ["lesson-1"]


async def test_what_stands_in_a_replay_may_be_as_large_as_a_dead_letter(
    process: Process, log: FakeLog, script: Script
) -> None:
    value = b'{"lessonId":"lesson-1"' + b" " * (COMMAND_BYTES + 1) + b"}"
    log.add(command(topic="progress.replays", value=value))

    await process.run()

    assert script.handled == ["lesson-1"]
