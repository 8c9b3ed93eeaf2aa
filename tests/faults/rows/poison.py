"""Records that nobody can handle: how they are sent, and that each became one dead letter, byte for byte."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.contracts import topics
from tests.faults.rows.run import Run
from tests.faults.rows.stages import PROGRESS, Stage
from tests.support.eventually import eventually
from tests.support.gateway import Seen

Header = tuple[str, bytes | None]
#: By this header a record and its dead letter are known; it is none of the contract's.
_MARK = "mark"
_TYPES = {
    topics.PROGRESS_COMMANDS: b"lesson.complete.v1",
    topics.LESSON_COMPLETED: b"lesson.completed.v1",
    topics.COURSE_COMPLETED: b"course.completed.v1",
}


@dataclass(frozen=True, slots=True)
class Poison:
    """One record that is to be a dead letter of a stage; its mark is its key, too."""

    value: bytes | None
    #: Without the mark.
    headers: Sequence[Header]
    error: str
    mark: bytes = field(default_factory=lambda: secrets.token_hex(8).encode())

    @property
    def all_headers(self) -> list[Header]:
        """As they are sent."""
        return [*self.headers, (_MARK, self.mark)]


def envelope(run: Run, stage: Stage, *, without: str = "") -> list[Header]:
    """The headers of a good record for this stage."""
    headers: list[Header] = [
        ("ce_specversion", b"1.0"),
        ("ce_id", secrets.token_hex(8).encode()),
        ("ce_type", _TYPES[stage.takes]),
    ]
    if stage is PROGRESS:
        headers.append(("authorization", f"Bearer {run.gateway.token('learner-poison')}".encode()))
    return [header for header in headers if header[0] != without]


def values(run: Run, stage: Stage) -> list[Poison]:
    """Broken JSON, bad UTF-8, a null value, and what is none of the message's fields."""
    bad = (b'{"lessonId": ', b'{"lessonId": "\xff\xfe"}', None, b"[]", b'{"lessonId": 7}', b"")
    return [Poison(value, envelope(run, stage), "InvalidPayload") for value in bad]


def types(run: Run, stage: Stage) -> list[Poison]:
    """No type that could be read: none, null, twice, not UTF-8; and one that nobody knows."""
    own, rest = _TYPES[stage.takes], envelope(run, stage, without="ce_type")
    unreadable: list[list[Header]] = [
        [],
        [("ce_type", None)],
        [("ce_type", own), ("ce_type", own)],
        [("ce_type", b"\xff\xfe")],
    ]
    poison = [Poison(b"{}", [*rest, *headers], "UnreadableEnvelope") for headers in unreadable]
    return [*poison, Poison(b"{}", [*rest, ("ce_type", b"lesson.unheard.v1")], "UnknownType")]


async def strew(run: Run, stage: Stage, poison: Sequence[Poison], *, partition: int | None = None) -> None:
    """Send these to the stage's topic, all at once and to one partition."""
    place = secrets.randbelow(topics.TOPICS[stage.takes].partitions) if partition is None else partition
    await asyncio.gather(
        *(
            run.gateway.send(stage.takes, one.value, key=one.mark, headers=one.all_headers, partition=place)
            for one in poison
        )
    )


def letters(run: Run, stage: Stage, one: Poison) -> list[Seen]:
    """The dead letters of a record, so far."""
    return run.gateway.seen(topics.dead_letters_of(stage.service), lambda seen: seen.headers.get(_MARK) == one.mark)


async def buried(run: Run, stage: Stage, poison: Sequence[Poison], *, copies: int = 1) -> None:
    """Wait until each of these is a dead letter, and see that it is what was sent, so many times.

    Raises:
        AssertionError: one is not there, was changed, or is there too often.
    """
    await eventually(lambda: all(len(letters(run, stage, one)) >= copies for one in poison), within=60)
    await run.gateway.caught_up(topics.dead_letters_of(stage.service))
    for one in poison:
        found = letters(run, stage, one)
        assert len(found) == copies, f"{len(found)} dead letters of {one.value!r}"
        for letter in found:
            sent = one.all_headers
            assert letter.key == one.mark, f"the key {one.mark!r} became {letter.key!r}"
            assert letter.raw == one.value, f"{one.value!r} became {letter.raw!r}"
            assert list(letter.record.headers)[: len(sent)] == sent, f"headers of {one.value!r} were changed"
            error = (letter.headers["x-dead-letter-error"] or b"").decode()
            assert error == one.error, f"{one.value!r} with {one.headers[-1:]} is {error}, expected {one.error}"
        assert len({position(letter) for letter in found}) == 1, "copies of one dead letter have two positions"


def position(letter: Seen) -> tuple[bytes | None, ...]:
    """Where the record of a dead letter stood."""
    return tuple(letter.headers[f"x-dead-letter-{part}"] for part in ("topic", "partition", "offset"))
