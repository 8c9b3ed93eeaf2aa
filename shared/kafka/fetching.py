"""Fetching partition by partition, so that one that cannot be read harms no other.

The library drains several partitions in one go. When one of them raises (a damaged batch, a codec that is not
installed), the positions of those drained before have moved, but their records are lost to the caller: the next commit
would pass over them for ever. And it answers nothing after an idle while, upon which FastStream sleeps as long again.
What the broker or the group refuses is told here, because FastStream goes on after it without a word.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    CorruptRecordException,
    IllegalStateError,
    KafkaError,
    UnsupportedCodecError,
)

from shared.kafka.connection import stopped
from shared.kafka.records import Record

_log = structlog.get_logger()

#: How long a partition that could not be read is left alone.
REST_SECONDS = 5.0
_BREATH_SECONDS = 0.1
_MOST_RECORDS = 500

Batch = dict[TopicPartition, list[Record]]


class IsolatingConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """aiokafka's consumer, whose `getmany` always brings records, and all that it took."""

    def __init__(self, *topics: str, refused: Callable[[KafkaError], None], **options: Any) -> None:
        super().__init__(*topics, **options)
        self._refused = refused
        #: How often in a row the broker or the group refused to give records.
        self.refusals = 0
        self._turn = 0
        #: Partitions that raised: read record by record until nothing raises, so that all before the damage is taken.
        self._frail: set[TopicPartition] = set()

    async def stop(self) -> None:
        """Leave the group and close the connections, also while the broker is away."""
        await stopped(super().stop(), self)

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None) -> Batch:
        """At least one record, at most `max_records`, of these partitions (of all assigned ones where none is named).

        Raises:
            ConsumerStoppedError: the consumer was stopped.
            KafkaError: the group or a topic refuses us.
        """
        limit = max_records or _MOST_RECORDS
        while True:
            if batch := await self._fill({}, partitions, limit):
                self.refusals = 0
                return batch
            batch = await self._first(partitions, timeout_ms)
            self.refusals = 0
            if batch:
                return await self._fill(batch, partitions, limit - 1)

    async def _first(self, partitions: Sequence[TopicPartition], timeout_ms: int) -> Batch:
        try:
            # Where one record is asked for, the library drains no second partition: nothing is lost if it raises.
            first = await self._drained(*partitions, timeout_ms=timeout_ms, max_records=1)
        except Exception as failure:
            if not _is_of_the_data(failure):
                raise
            # Which partition it was shows when each is read alone, once its broken fetch is dropped and repeated.
            _log.warning("fetch.unreadable", error=type(failure).__name__)
            first = await self._fill({}, partitions, 1)
            if not first:
                await asyncio.sleep(_BREATH_SECONDS)
        return first

    async def _fill(self, batch: Batch, partitions: Sequence[TopicPartition], room: int) -> Batch:
        for partition in self._in_turn(partitions):
            if room <= 0:
                break
            taken: list[Record] = []
            try:
                await self._take(partition, room, taken)
            except Exception as failure:
                if _is_of_the_data(failure):
                    self._rest(partition, failure)
                elif not batch and not taken:
                    raise
            if taken:
                batch.setdefault(partition, []).extend(taken)
                room -= len(taken)
        return batch

    async def _take(self, partition: TopicPartition, room: int, taken: list[Record]) -> None:
        step = 1 if partition in self._frail else room
        while len(taken) < room:
            records = (await self._drained(partition, timeout_ms=0, max_records=step)).get(partition, [])
            taken += records
            if not records and taken:
                self._frail.discard(partition)
            if not records or step == room:
                return

    async def _drained(self, *partitions: TopicPartition, timeout_ms: int, max_records: int) -> Batch:
        """What the library has of these partitions; a refusal is told even where records hide it from the caller."""
        try:
            batch: Batch = await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
        except KafkaError as failure:
            if not _is_of_the_data(failure):
                self.refusals += 1
                _log.error("fetch.refused", error=type(failure).__name__, in_a_row=self.refusals)
                self._refused(failure)
            raise
        return batch

    def _in_turn(self, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
        # No partition is always the first, so that none starves behind a full one.
        order = sorted(partitions or self.assignment())
        self._turn += 1
        start = self._turn % len(order) if order else 0
        return order[start:] + order[:start]

    def _rest(self, partition: TopicPartition, failure: Exception) -> None:
        _log.error(
            "partition.unreadable",
            topic=partition.topic,
            partition=partition.partition,
            error=type(failure).__name__,
        )
        self._frail.add(partition)
        try:
            self.pause(partition)
        except IllegalStateError:
            return
        asyncio.get_running_loop().call_later(REST_SECONDS, self._wake, partition)

    def _wake(self, partition: TopicPartition) -> None:
        try:
            self.resume(partition)
        except IllegalStateError:
            _log.info("partition.gone", topic=partition.topic, partition=partition.partition)


def _is_of_the_data(failure: Exception) -> bool:
    """Whether the records themselves cannot be read, rather than the broker or the group."""
    if isinstance(failure, CorruptRecordException | UnsupportedCodecError):
        return True
    return not isinstance(failure, KafkaError | ConsumerStoppedError)
