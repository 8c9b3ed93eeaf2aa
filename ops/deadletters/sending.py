"""Sending dead letters again, and marking them as done: at a limited rate, each acknowledged before it counts."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from ops.deadletters.letter import Known
from ops.deadletters.reading import records_of
from ops.errors import OperatorError
from ops.target import Target
from shared.contracts.topics import dead_letters_of, replays_of
from shared.kafka.batches import Outgoing, Producer, Shipment
from shared.kafka.deadletter import (
    DISCARDED_AT,
    ORIGINAL_OFFSET,
    ORIGINAL_PARTITION,
    ORIGINAL_TOPIC,
    REASON,
    REPLAYS,
    Position,
    position_in,
)
from shared.kafka.records import Record

_SLICES_A_SECOND = 10
_SLICE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `rate` a second: what a slow broker cost is not made up for, since a burst is what nobody wants then."""

    rate: float
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    @property
    def at_once(self) -> int:
        """How many are sent together."""
        return max(1, int(self.rate / _SLICES_A_SECOND))

    async def after(self, count: int) -> None:
        """Wait for as long as so many take."""
        await self.sleep(count / self.rate)


@dataclass(slots=True)
class Sent:
    """How far the sending has come; true at any moment, also when it is interrupted."""

    acknowledged: int = 0
    #: Letters that the broker's retention took away before they could be sent.
    gone: int = 0
    #: Of letters that were named, what is still to be done; None where they were found, or nothing has been begun.
    waiting: list[Position] | None = None

    def note(self, position: Position | None) -> None:
        """Nothing more is to be done about this letter."""
        if self.waiting and position in self.waiting:
            self.waiting.remove(position)

    @property
    def so_far(self) -> str:
        """How many are done, and how to go on with the others.

        A letter that is named is replayed once more, whoever sent it before: so only the others are to be named.
        """
        if self.waiting is None or not self.acknowledged:
            others = "the same command goes on with the others"
        elif self.waiting:
            others = f"to go on, name the others alone: {' '.join(map(str, self.waiting))}"
        else:
            others = "nothing is left to be done"
        return f"{self.acknowledged:,} are done; {others}"


async def send_again(
    target: Target, letters: Iterable[Known], sent: Sent, report: Callable[[int], None], *, pace: Pace
) -> None:
    """Send these letters to their services' replays, at this pace, and note in `sent` what arrived.

    Raises:
        OperatorError: the broker is away, failed, or did not take one.
    """
    await _paced(target, _replays(target, letters, sent), pace, sent, report)


async def mark_discarded(
    target: Target,
    letters: Iterable[Known],
    sent: Sent,
    report: Callable[[int], None],
    *,
    pace: Pace,
    reason: str,
    at: int,
) -> None:
    """Write a mark beside each of these letters, at this pace, and note in `sent` what arrived.

    Raises:
        OperatorError: the broker is away, failed, or did not take one.
    """

    async def marks() -> AsyncGenerator[Outgoing, None]:
        for known in letters:
            yield mark(known, reason=reason, at=at)

    await _paced(target, marks(), pace, sent, report)


def replay(known: Known, record: Record) -> Outgoing:
    """What is sent to a service's replays: the letter as it stands, and how often it has been replayed with this."""
    headers = [*record.headers, (REPLAYS, str(known.replays + 1).encode())]
    return Outgoing(replays_of(known.letter.service), record.key, record.value, headers)


def mark(known: Known, *, reason: str, at: int) -> Outgoing:
    """What stands beside a letter that was discarded: its position and the reason, and nothing of the letter itself."""
    position = known.letter.position
    texts = {
        ORIGINAL_TOPIC: position.topic,
        ORIGINAL_PARTITION: position.partition,
        ORIGINAL_OFFSET: position.offset,
        REPLAYS: known.replays,
        REASON: reason,
        DISCARDED_AT: at,
    }
    headers = [(name, str(text).encode()) for name, text in texts.items()]
    return Outgoing(dead_letters_of(known.letter.service), None, None, headers)


async def _replays(target: Target, letters: Iterable[Known], sent: Sent) -> AsyncGenerator[Outgoing, None]:
    async with aclosing(records_of(target, letters)) as records:
        async for known, record in records:
            if record is None:
                sent.gone += 1
                sent.note(known.letter.position)
            else:
                yield replay(known, record)


async def _paced(
    target: Target, messages: AsyncGenerator[Outgoing, None], pace: Pace, sent: Sent, report: Callable[[int], None]
) -> None:
    async with target.producer() as producer, aclosing(messages), aclosing(_slices(messages, pace.at_once)) as parts:
        async for part in parts:
            await _send(producer, part, sent)
            report(sent.acknowledged)
            await pace.after(len(part))


async def _slices(messages: AsyncIterator[Outgoing], size: int) -> AsyncGenerator[list[Outgoing], None]:
    part: list[Outgoing] = []
    room = _SLICE_BYTES
    async for message in messages:
        part.append(message)
        room -= len(message.value or b"")
        if len(part) == size or room <= 0:
            yield part
            part, room = [], _SLICE_BYTES
    if part:
        yield part


async def _send(producer: Producer, messages: Sequence[Outgoing], sent: Sent) -> None:
    shipment = Shipment(messages)
    try:
        await shipment.send(producer)
    finally:
        sent.acknowledged += shipment.failures.count(None)
        for message, failure in zip(messages, shipment.failures, strict=True):
            if failure is None:
                sent.note(position_in(message.headers))
    for message, failure in zip(messages, shipment.failures, strict=True):
        if failure is not None:
            raise OperatorError(
                f"the broker did not take a record for {message.topic} ({type(failure).__name__}): see that it is up"
            ) from failure
