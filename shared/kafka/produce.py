"""Publishing: events and dead letters are waited for, replies are best effort."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from shared.contracts import envelope as ce
from shared.contracts.ids import deterministic_id
from shared.contracts.topics import is_reply_topic
from shared.contracts.values import Message
from shared.errors import Permanent, Transient
from shared.kafka.deadletter import DeadLetter
from shared.kafka.records import Event

_log = structlog.get_logger()

#: A reply that is not acknowledged by then is dropped and counted.
REPLY_SECONDS = 5.0
#: How often, at most, the broker is asked whether an unknown reply topic exists by now.
_TOPICS_SECONDS = 1.0
_PENDING_REPLIES = 10_000

Header = tuple[str, bytes | None]


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
        acknowledgements = [await self._queue(p) for p in publications]
        return [_failure(r) for r in await asyncio.gather(*acknowledgements, return_exceptions=True)]

    async def _queue(self, publication: Publication) -> Awaitable[Any]:
        event = publication.event
        headers = ce.write(
            event_type=event.message.TYPE,
            event_id=event.id,
            source=self._source,
            time=event.time,
            cause=publication.cause,
        )
        return await self._sent(
            self._producer.send(event.topic, event.message.to_json(), event.key.encode(), headers=headers)
        )

    async def bury(self, topic: str, letters: Sequence[DeadLetter]) -> list[Exception | None]:
        """Publish dead letters and wait for every acknowledgement; answers one failure or None for each."""
        acknowledgements = [await self._sent(self._letter(topic, letter)) for letter in letters]
        return [_failure(r) for r in await asyncio.gather(*acknowledgements, return_exceptions=True)]

    async def _letter(self, topic: str, letter: DeadLetter) -> Awaitable[Any]:
        # A batch takes a record with neither key nor value; `send` refuses it.
        batch = self._producer.create_batch()
        batch.append(timestamp=None, key=letter.key, value=letter.value, headers=letter.headers)
        batch.close()
        partitions = sorted(await self._producer.partitions_for(topic))
        partition = random.choice(partitions)  # noqa: S311 - spreading, no secret
        return await self._producer.send_batch(batch, topic, partition=partition)

    @staticmethod
    async def _sent(queued: Awaitable[Awaitable[Any]]) -> Awaitable[Any]:
        try:
            return await queued
        except KafkaError as refusal:
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


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one command, for the topic that its sender named."""

    message: Message
    topic: str
    key: bytes | None
    correlation_id: bytes | None
    #: `ce_id` of the command, or its position where it had none.
    command: str
    time: int
    cause: ce.Cause


class Replier:
    """Sends replies in the background, to allowed and existing topics only; nothing ever waits for it."""

    def __init__(
        self,
        producer: Producer,
        *,
        service: str,
        existing_topics: Callable[[], Awaitable[set[str]]],
        dropped: Callable[[str], None],
    ) -> None:
        self._producer = producer
        self._source = f"/services/{service}"
        self._existing_topics = existing_topics
        self._dropped = dropped
        self._known: set[str] = set()
        self._asked_at = -_TOPICS_SECONDS
        self._asking = asyncio.Lock()
        self._pending = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, replies: Sequence[Reply]) -> None:
        """Send these replies without waiting for them."""
        allowed = [r for r in replies if is_reply_topic(r.topic)]
        for _ in range(len(replies) - len(allowed)):
            self._dropped("refused")
        if not allowed:
            return
        if self._pending + len(allowed) > _PENDING_REPLIES:
            self._drop(allowed, "timed_out")
            return
        self._pending += len(allowed)
        task = asyncio.create_task(self._deliver(allowed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, seconds: float) -> None:
        """Give replies on their way `seconds`, then let them go."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()

    async def _deliver(self, replies: Sequence[Reply]) -> None:
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                existing = await self._existing(replies)
                futures = [await self._queue(r) for r in existing]
                results = await asyncio.gather(*futures, return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    self._dropped("timed_out")
        except (TimeoutError, KafkaError):
            self._drop(replies, "timed_out")
        finally:
            self._pending -= len(replies)

    async def _existing(self, replies: Sequence[Reply]) -> list[Reply]:
        if not self._known.issuperset(r.topic for r in replies):
            await self._ask()
        absent = [r for r in replies if r.topic not in self._known]
        self._drop(absent, "absent")
        return [r for r in replies if r.topic in self._known]

    async def _ask(self) -> None:
        # One question a second for all senders: a hostile topic name costs the broker nothing more.
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if now - self._asked_at >= _TOPICS_SECONDS:
                self._asked_at = now
                self._known = {t for t in await self._existing_topics() if is_reply_topic(t)}

    async def _queue(self, reply: Reply) -> Awaitable[Any]:
        reply_type = reply.message.TYPE
        headers: list[Header] = [
            *ce.write(
                event_type=reply_type,
                event_id=deterministic_id(reply_type, reply.command),
                source=self._source,
                time=reply.time,
                cause=reply.cause,
            )
        ]
        correlation = reply.correlation_id if reply.correlation_id is not None else reply.command.encode()
        headers.append(("correlation-id", correlation))
        return await self._producer.send(reply.topic, reply.message.to_json(), reply.key, headers=headers)

    def _drop(self, replies: Sequence[Reply], reason: str) -> None:
        for reply in replies:
            _log.warning("reply.dropped", reason=reason, type=reply.message.TYPE)
            self._dropped(reason)
