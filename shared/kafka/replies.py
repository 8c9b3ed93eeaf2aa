"""Answering: replies are best effort, and nothing ever waits for one."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import structlog
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

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
        by_topic: defaultdict[str, list[Reply]] = defaultdict(list)
        for reply in allowed:
            by_topic[reply.topic].append(reply)
        for topic, of_topic in by_topic.items():
            # Each topic alone: one that is new, or was deleted, holds up no other gateway's replies.
            task = asyncio.create_task(self._deliver(topic, of_topic))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self, seconds: float) -> None:
        """Give replies on their way `seconds`, then drop and count them."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def _deliver(self, topic: str, replies: Sequence[Reply]) -> None:
        reason = "timed_out"
        failures: Sequence[BaseException | None] = [KafkaTimeoutError()] * len(replies)
        try:
            with suppress(TimeoutError, KafkaError, Transient):
                async with asyncio.timeout(REPLY_SECONDS):
                    if await self._exists(topic):
                        shipment = Shipment([self._message(reply) for reply in replies])
                        failures = shipment.failures
                        await shipment.send(self._producer)
                    else:
                        reason = "absent"
        finally:
            # Also when the service ends first: a reply is delivered, or it is dropped and counted.
            self._pending -= len(replies)
            self._drop([reply for reply, failure in zip(replies, failures, strict=True) if failure], reason)
            if any(failure and not isinstance(failure, MessageSizeTooLargeError) for failure in failures):
                # Deleted, perhaps: the broker is asked before the next reply waits as long.
                self._known.discard(topic)

    async def _exists(self, topic: str) -> bool:
        if topic not in self._known:
            await self._ask()
        return topic in self._known

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
        for _ in replies:
            self._dropped(reason)
        # A line for each is dear where a whole backlog names a topic that is not there.
        for message_type, count in Counter(reply.message.TYPE for reply in replies).items():
            _log.warning("reply.dropped", reason=reason, type=message_type, replies=count)
