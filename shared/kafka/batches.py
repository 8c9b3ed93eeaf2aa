"""Messages on their way out, gathered into record batches: one a partition, queued and acknowledged as a whole.

The client's `send` looks up a partition and keeps a future for every single message, which costs ten times as much.
"""

import asyncio
import random
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.partitioner import murmur2

from shared.contracts.topics import DEAD_LETTER_BYTES

#: An id of 255 characters has no more bytes; the hash of a larger key is not remembered.
_KEY_BYTES = 1020


class Producer(Protocol):
    """The part of aiokafka's producer that is used."""

    def create_batch(self) -> Any:
        """A batch as large as the client sends at once; its records may have neither key nor value."""

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Awaitable[Any]:
        """Queue a batch for one partition; the returned future ends with the broker's acknowledgement."""

    async def partitions_for(self, topic: str) -> set[int]:
        """The topic's partitions."""


class Outgoing(NamedTuple):
    """One message to send."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(slots=True)
class _Batch:
    records: Any
    topic: str
    partition: int
    #: The places of its messages among all that are sent.
    places: list[int] = field(default_factory=list)


class Shipment:
    """Messages that are sent together; those of one key stay in order, in the partition that every client chooses."""

    def __init__(self, messages: Sequence[Outgoing]) -> None:
        self._messages = messages
        #: What became of each message: None once the broker has acknowledged it.
        self.failures: list[BaseException | None] = [KafkaTimeoutError()] * len(messages)

    async def send(self, producer: Producer) -> None:
        """Queue everything, then wait for every acknowledgement; whatever fails is in `failures`."""
        queued: list[tuple[_Batch, asyncio.Future[Any]]] = []
        for batch in self._gathered(producer, await self._partitions(producer)):
            try:
                acknowledgement = await producer.send_batch(batch.records, batch.topic, partition=batch.partition)
            except KafkaError as refusal:
                self._note(batch.places, refusal)
            else:
                queued.append((batch, asyncio.ensure_future(acknowledgement)))
        try:
            if queued:
                await asyncio.wait([acknowledgement for _, acknowledgement in queued])
        finally:
            for batch, acknowledgement in queued:
                if not acknowledgement.cancel() and not acknowledgement.cancelled():
                    self._note(batch.places, acknowledgement.exception())

    async def _partitions(self, producer: Producer) -> dict[str, list[int]]:
        """The partitions of each topic; one that is away costs the client's whole time-out, and is asked for once."""
        partitions: dict[str, list[int]] = {}
        for topic in {message.topic for message in self._messages}:
            try:
                partitions[topic] = sorted(await producer.partitions_for(topic))
            except KafkaError as refusal:
                self._note((n for n, message in enumerate(self._messages) if message.topic == topic), refusal)
        return partitions

    def _gathered(self, producer: Producer, partitions: dict[str, list[int]]) -> list[_Batch]:
        batches: list[_Batch] = []
        latest: dict[tuple[str, int], _Batch] = {}
        for place, message in enumerate(self._messages):
            if message.topic not in partitions:
                continue
            if len(message.key or b"") + len(message.value or b"") > DEAD_LETTER_BYTES:
                self.failures[place] = MessageSizeTooLargeError()
                continue
            target = message.topic, _partition(message.key, partitions[message.topic])
            batch = latest.get(target)
            if batch is None or not _append(batch, message):
                # A new batch takes any first message, however large, and then no other with it.
                batch = latest[target] = _Batch(producer.create_batch(), *target)
                batches.append(batch)
                _append(batch, message)
            batch.places.append(place)
        for batch in batches:
            batch.records.close()
        return batches

    def _note(self, places: Iterable[int], failure: BaseException | None) -> None:
        for place in places:
            self.failures[place] = failure


def _append(batch: _Batch, message: Outgoing) -> bool:
    taken = batch.records.append(timestamp=None, key=message.key, value=message.value, headers=message.headers)
    return taken is not None


def _partition(key: bytes | None, partitions: Sequence[int]) -> int:
    if key is None or len(partitions) == 1:
        return random.choice(partitions)  # noqa: S311 - spreading, no secret
    return partitions[(_hash(key) if len(key) <= _KEY_BYTES else murmur2(key)) % 2**31 % len(partitions)]


@lru_cache(maxsize=65_536)
def _hash(key: bytes) -> int:
    """Kafka's own hash, which all its clients place keys by; in Python it costs as much as validating a record."""
    return int(murmur2(key))
