"""Publishing what must arrive: every event and dead letter is acknowledged, or its failure is known."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from shared.contracts import envelope as ce
from shared.errors import Permanent, Transient
from shared.kafka.deadletter import DeadLetter
from shared.kafka.records import Event

#: Queues one message; the awaited value is its acknowledgement to come.
Send = Callable[[], Awaitable[Awaitable[Any]]]


class Producer(Protocol):
    """The part of aiokafka's producer that is used."""

    async def send(
        self, topic: str, value: bytes | None = None, key: bytes | None = None, headers: Any = None
    ) -> Awaitable[Any]:
        """Queue a message; the returned future ends with the broker's acknowledgement."""

    def create_batch(self) -> Any:
        """A batch whose records may have neither key nor value."""

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Awaitable[Any]:
        """Queue a batch for one partition."""

    async def partitions_for(self, topic: str) -> set[int]:
        """The topic's partitions."""


class OutputTooLarge(Permanent):
    """What follows from the record is larger than its topic allows."""


class NotPublished(Transient):
    """The broker did not acknowledge."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One message on its way out, with what caused it."""

    event: Event
    cause: ce.Cause


class Publisher:
    """Publishes through the producer itself: every message queued first, then all acknowledgements awaited."""

    def __init__(self, producer: Producer, *, service: str) -> None:
        self._producer = producer
        self._source = f"/services/{service}"

    async def publish(self, publications: Sequence[Publication]) -> list[Exception | None]:
        """Publish all and wait for every acknowledgement; answers one failure or None for each."""
        return await _acknowledged([(p.event.topic, partial(self._event, p)) for p in publications])

    async def _event(self, publication: Publication) -> Awaitable[Any]:
        event = publication.event
        headers = ce.write(
            event_type=event.message.TYPE,
            event_id=event.id,
            source=self._source,
            time=event.time,
            cause=publication.cause,
        )
        return await self._producer.send(event.topic, event.message.to_json(), event.key.encode(), headers=headers)

    async def bury(self, topic: str, letters: Sequence[DeadLetter]) -> list[Exception | None]:
        """Publish dead letters and wait for every acknowledgement; answers one failure or None for each."""
        return await _acknowledged([(topic, partial(self._letter, topic, letter)) for letter in letters])

    async def _letter(self, topic: str, letter: DeadLetter) -> Awaitable[Any]:
        # A batch takes a record with neither key nor value; `send` refuses it.
        batch = self._producer.create_batch()
        batch.append(timestamp=None, key=letter.key, value=letter.value, headers=letter.headers)
        batch.close()
        partitions = sorted(await self._producer.partitions_for(topic))
        partition = random.choice(partitions)  # noqa: S311 - spreading, no secret
        return await self._producer.send_batch(batch, topic, partition=partition)


async def _acknowledged(sends: Sequence[tuple[str, Send]]) -> list[Exception | None]:
    refused: dict[str, Awaitable[Any]] = {}
    acknowledgements: list[Awaitable[Any]] = []
    for topic, send in sends:
        # Each refusal costs the client its whole time-out: a topic that is away is not asked again in this batch.
        acknowledgement = refused.get(topic)
        if acknowledgement is None:
            try:
                acknowledgement = await send()
            except KafkaError as refusal:
                acknowledgement = _failed(refusal)
                if not isinstance(refusal, MessageSizeTooLargeError):
                    refused[topic] = acknowledgement
        acknowledgements.append(acknowledgement)
    return [_failure(r) for r in await asyncio.gather(*acknowledgements, return_exceptions=True)]


def _failed(refusal: KafkaError) -> Awaitable[Any]:
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(refusal)
    return failed


def _failure(result: object) -> Exception | None:
    match result:
        case MessageSizeTooLargeError():
            return OutputTooLarge()
        case KafkaError():
            return NotPublished(type(result).__name__)
        case Exception():
            return result
        case BaseException():
            raise result
        case _:
            return None
