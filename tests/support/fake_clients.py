"""aiokafka's clients over a log in memory: positions per consumer, acknowledgements refused, lost, or never given.

Every effect lies between two steps, so that a test can stop the process before and after each of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, MessageSizeTooLargeError, UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from shared.contracts.topics import DEAD_LETTER_BYTES, TOPICS
from shared.kafka.records import Record
from tests.support.fake_log import FakeLog
from tests.support.steps import Steps

#: Decides what becomes of one message: None lets it through, an error refuses it.
Refusal = Callable[[str, bytes | None], Exception | None]


class FakeConsumer:
    """One member of the group: positions, pauses, and commits that are refused once another member took over."""

    def __init__(self, log: FakeLog, partitions: Iterable[TopicPartition], steps: Steps | None = None) -> None:
        self._log = log
        self._steps = steps or Steps()
        self.position: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.commit_failures: list[BaseException] = []
        #: Fetches that were refused, in a row.
        self.refusals = 0
        self.assign(partitions)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Begin with these partitions where the group's commits say; whoever held them holds them no more."""
        self.position = {partition: self._log.committed.get(partition, 0) for partition in sorted(partitions)}
        self.paused = set()
        for partition in self.position:
            self._log.holders[partition] = self

    def assignment(self) -> set[TopicPartition]:
        return set(self.position)

    def highwater(self, partition: TopicPartition) -> int:
        return self._log.end(partition)

    def poll(self, max_records: int = 1000) -> tuple[Record, ...]:
        """What the next fetch gives: partition after partition, each in order, no paused one."""
        batch: list[Record] = []
        for partition, position in self.position.items():
            if partition not in self.paused:
                written = self._log.topics[partition.topic][partition.partition]
                records = written[position : position + max_records - len(batch)]
                self.position[partition] += len(records)
                batch += records
        return tuple(batch)

    def ready(self) -> bool:
        """Whether the next fetch gives anything."""
        return any(self._log.end(p) > position for p, position in self.position.items() if p not in self.paused)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._check_assigned(partition)
        self.position[partition] = offset

    def pause(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self._check_assigned(partition)
        self.paused.update(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self._check_assigned(partition)
        self.paused.difference_update(partitions)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        for partition in offsets:
            self._check_assigned(partition)
        await self._steps.reach("before the commit")
        if self.commit_failures:
            raise self.commit_failures.pop(0)
        if any(self._log.holders.get(partition) is not self for partition in offsets):
            raise CommitFailedError
        self._log.before_commit(offsets)
        self._log.committed.update(offsets)
        self._log.commits.append(dict(offsets))
        await self._steps.reach("after the commit")

    def _check_assigned(self, partition: TopicPartition) -> None:
        if partition not in self.position:
            raise IllegalStateError(f"{partition} is not assigned")


class FakeProducer:
    """aiokafka's producer as far as it is used, with the library's own record format on the way to the log."""

    def __init__(self, log: FakeLog, steps: Steps | None = None) -> None:
        self._log = log
        self._steps = steps or Steps()
        self._tasks: set[asyncio.Task[Any]] = set()
        #: Refuse before the message is written.
        self.refuse: Refusal = lambda _topic, _value: None
        #: Write the message and fail all the same: the acknowledgement was lost.
        self.lose: Refusal = lambda _topic, _value: None
        #: Topics whose acknowledgements never come.
        self.silent: set[str] = set()

    async def send(
        self, topic: str, value: bytes | None = None, key: bytes | None = None, headers: Any = None
    ) -> Awaitable[Any]:
        assert value is not None or key is not None, "the library refuses a message without key and value"
        if sum(len(part or b"") for part in (key, value)) > DEAD_LETTER_BYTES:
            raise MessageSizeTooLargeError
        batch = self.create_batch()
        batch.append(timestamp=None, key=key, value=value, headers=headers)
        batch.close()
        partitions = await self.partitions_for(topic)
        return await self.send_batch(batch, topic, partition=sum(key or b"") % len(partitions))

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(256 * 1024, 0)

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Awaitable[Any]:
        await self.partitions_for(topic)
        task = asyncio.ensure_future(self._acknowledged(batch, topic, partition))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def partitions_for(self, topic: str) -> set[int]:
        if topic not in self._log.topics:
            raise UnknownTopicOrPartitionError
        return set(range(len(self._log.topics[topic])))

    def crash(self) -> None:
        """Take everything away that is on its way."""
        for task in self._tasks:
            task.cancel()

    async def _acknowledged(self, batch: BatchBuilder, topic: str, partition: int) -> None:
        wire = bytes(batch._build())
        await self._steps.reach(f"before a message to {topic}")
        if topic in self.silent:
            await asyncio.Event().wait()
        for record in MemoryRecords(wire).next_batch():
            if refusal := self.refuse(topic, record.value):
                raise refusal
            if topic in TOPICS and len(wire) > TOPICS[topic].max_bytes:
                raise MessageSizeTooLargeError
            self._log.append(topic, record.value, key=record.key, headers=record.headers, partition=partition)
            if lost := self.lose(topic, record.value):
                raise lost
        await self._steps.reach(f"after a message to {topic}")
