"""Answering: replies are best effort, and nothing ever waits for one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import structlog
from aiokafka.errors import KafkaError

from shared.contracts import envelope as ce
from shared.contracts.ids import deterministic_id
from shared.contracts.topics import is_reply_topic
from shared.contracts.values import Message
from shared.errors import Transient
from shared.kafka.batches import Outgoing, Producer, Shipment

_log = structlog.get_logger()

#: A reply that is not acknowledged by then is dropped and counted.
REPLY_SECONDS = 5.0
#: How often, at most, the broker is asked whether an unknown reply topic exists by now.
TOPICS_SECONDS = 1.0
_PENDING_REPLIES = 10_000


class Reply(NamedTuple):
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
        self._asked_at = -TOPICS_SECONDS
        self._known_at = -TOPICS_SECONDS
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
        # A topic that is not known yet waits for the broker's word; replies to all others do not wait with it.
        unknown = [r for r in allowed if r.topic not in self._known]
        self._start([r for r in allowed if r.topic in self._known] if unknown else allowed)
        self._start(unknown)

    async def close(self, seconds: float) -> None:
        """Give replies on their way `seconds`, then let them go."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()

    def _start(self, replies: Sequence[Reply]) -> None:
        if replies:
            task = asyncio.create_task(self._deliver(replies))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, replies: Sequence[Reply]) -> None:
        awaited, failures = replies, list[BaseException | None]()
        try:
            with suppress(TimeoutError, KafkaError, Transient):
                async with asyncio.timeout(REPLY_SECONDS):
                    awaited = await self._existing(replies)
                    shipment = Shipment([self._message(reply) for reply in awaited])
                    failures = shipment.failures
                    await shipment.send(self._producer)
        finally:
            self._pending -= len(replies)
        late = [reply for reply, failure in zip(awaited, failures, strict=True) if failure] if failures else awaited
        self._drop(late, "timed_out")

    async def _existing(self, replies: Sequence[Reply]) -> list[Reply]:
        if not self._known.issuperset(r.topic for r in replies):
            await self._ask()
        absent = [r for r in replies if r.topic not in self._known]
        self._drop(absent, "absent")
        return [r for r in replies if r.topic in self._known]

    async def _ask(self) -> None:
        """Learn which topics exist now: one question a second, however many senders wait for its answer.

        So a hostile name costs the broker nothing, and a topic made just after a question is seen by the next.
        """
        clock = asyncio.get_running_loop().time
        needed_at = clock()
        async with self._asking:
            if self._known_at >= needed_at:
                return
            await asyncio.sleep(self._asked_at + TOPICS_SECONDS - clock())
            asked_at = self._asked_at = clock()
            self._known = {t for t in await self._existing_topics() if is_reply_topic(t)}
            self._known_at = asked_at

    def _message(self, reply: Reply) -> Outgoing:
        reply_type = reply.message.TYPE
        headers = ce.write(
            event_type=reply_type,
            event_id=deterministic_id(reply_type, reply.command),
            source=self._source,
            time=reply.time,
            cause=reply.cause,
        )
        correlation = reply.correlation_id if reply.correlation_id is not None else reply.command.encode()
        headers.append(("correlation-id", correlation))
        return Outgoing(reply.topic, reply.key, reply.message.to_json(), headers)

    def _drop(self, replies: Sequence[Reply], reason: str) -> None:
        for reply in replies:
            _log.warning("reply.dropped", reason=reason, type=reply.message.TYPE)
            self._dropped(reason)
