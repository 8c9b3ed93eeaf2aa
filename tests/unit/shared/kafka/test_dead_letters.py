"""A dead letter is known by where its record stood at first, however often it is replayed and dies again."""

import pytest

from shared.contracts.topics import PROGRESS_COMMANDS
from shared.kafka.deadletter import Position, number_in, position_in, replays_in, without_letter
from shared.kafka.records import Record
from tests.support.builders import Header, command, record
from tests.support.fake_log import FakeLog
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock
from tests.support.process import Process

DEAD_LETTERS = "progress.deadletters"
REPLAYS = "progress.replays"
FORGED: list[Header] = [
    ("x-dead-letter-topic", b"lesson.completed"),
    ("x-dead-letter-partition", b"7"),
    ("x-dead-letter-offset", b"99"),
    ("x-dead-letter-replays", b"3"),
]


def replay(log: FakeLog, letter: Record, count: int, topic: str = REPLAYS) -> None:
    """Send a letter again as an operator does."""
    headers = [*letter.headers, ("x-dead-letter-replays", str(count).encode())]
    log.append(topic, letter.value, key=letter.key, headers=headers)


@pytest.mark.parametrize("own", [[], FORGED], ids=["none of its own", "a sender's own"])
async def test_a_replay_that_dies_again_keeps_its_first_position_its_moment_its_bytes_and_its_count(
    process: Process, log: FakeLog, clock: FakeClock, own: list[Header]
) -> None:
    log.add(command("lesson-1"))
    poison = command(value=b"\xff", headers=[("odd", b"\xfe"), ("none", None), *own], timestamp=NOW - 5)
    log.add(poison)
    await process.run()

    for count in (1, 2, 3):
        clock.move(60_000)
        replay(log, log.read(DEAD_LETTERS)[-1], count)
        await process.run()

        letter = log.read(DEAD_LETTERS)[-1]
        assert position_in(letter.headers) == Position(PROGRESS_COMMANDS, 0, 1)
        assert replays_in(letter.headers) == count
        assert number_in(letter.headers, "x-dead-letter-timestamp") == NOW - 5
        assert number_in(letter.headers, "x-dead-letter-first-failed-at") == NOW
        assert (letter.key, letter.value) == (poison.key, poison.value)
        assert letter.headers[: len(poison.headers)] == poison.headers
        assert len(letter.headers) == len(poison.headers) + 10
    assert len(log.read(DEAD_LETTERS)) == 4


async def test_what_a_sender_says_about_dead_letters_is_not_believed(process: Process, log: FakeLog) -> None:
    log.add(command(value=b"{", headers=FORGED))

    await process.run()

    [letter] = log.read(DEAD_LETTERS)
    assert position_in(letter.headers) == Position(PROGRESS_COMMANDS, 0, 0)
    assert replays_in(letter.headers) == 0
    assert without_letter(letter.headers) == command(headers=FORGED).headers


@pytest.mark.parametrize(
    "headers",
    [
        [],
        FORGED[:2],
        [*FORGED[:2], ("x-dead-letter-offset", b"first")],
        [*FORGED[:2], ("x-dead-letter-offset", b"-1")],
        [*FORGED[:2], ("x-dead-letter-offset", "\u0663".encode())],
        [*FORGED[:2], ("x-dead-letter-offset", b"9" * 5000)],
        [*FORGED[:2], ("x-dead-letter-offset", None)],
    ],
    ids=["nothing", "no offset", "a word", "negative", "another script's digit", "endless", "null"],
)
async def test_a_replay_that_names_no_position_is_known_by_its_own(
    process: Process, log: FakeLog, headers: list[Header]
) -> None:
    log.add(record(REPLAYS, value=b"{", headers=headers))

    await process.run()

    [letter] = log.read(DEAD_LETTERS)
    assert position_in(letter.headers) == Position(REPLAYS, 0, 0)
    assert letter.headers[: len(headers)] == tuple(headers)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (b"0", 0),
        (b"9223372036854775807", 2**63 - 1),
        (b"9223372036854775808", None),
        (b"9" * 5000, None),
        (b"-1", None),
        (b"\xd9\xa1", None),
        (b"", None),
        (None, None),
    ],
)
def test_a_number_is_one_that_an_offset_could_be(value: bytes | None, number: int | None) -> None:
    assert number_in([("x-dead-letter-offset", value)], "x-dead-letter-offset") == number
