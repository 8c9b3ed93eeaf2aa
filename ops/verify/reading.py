"""Reading topics from their beginnings to where they end now, one partition after another, in no group."""

import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException, KafkaError, UnsupportedCodecError

from ops.errors import OperatorError
from ops.failures import broker_named
from ops.offsets import committed_offsets
from ops.target import Target
from shared.contracts.topics import SERVICES, consumed_by
from shared.kafka.connection import BrokerAway, client_options, connected, disconnected
from shared.kafka.decoding import accept_any_header_name
from shared.kafka.records import Record

_BATCH = 1000
_POLL_MS = 500
#: A partition that gives nothing for so long, though it has not been read to its end, has no more to give (seconds).
_SILENCE_SECONDS = 10.0


class Extent(NamedTuple):
    """What a partition holds now: the first offset, and the one after the last."""

    begin: int
    end: int


class Unreadable(Exception):
    """The records of a partition cannot be read any further."""


class Log(Protocol):
    """The broker's side of a verification."""

    async def committed(self) -> Mapping[tuple[str, TopicPartition], int]:
        """What each service has committed, by service and partition."""

    async def extents(self, topics: Collection[str]) -> Mapping[TopicPartition, Extent]:
        """What the partitions of these topics hold now; a topic that does not exist has none."""

    async def existing(self) -> Collection[str]:
        """Every topic there is."""

    def read(self, partition: TopicPartition, extent: Extent) -> AsyncIterator[Sequence[Record]]:
        """The records of a partition, batch by batch.

        Raises:
            Unreadable: some of them cannot be read.
        """


class KafkaLog:
    """The real broker; it joins no group and commits nothing."""

    def __init__(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, *, loose_ends: bool) -> None:
        self._admin = admin
        self._consumer = consumer
        #: The embedded broker may say that a partition ends before it does.
        self._loose_ends = loose_ends
        self._committed: dict[TopicPartition, int] = {}

    async def committed(self) -> Mapping[tuple[str, TopicPartition], int]:
        """What each service has committed, by service and partition.

        Raises:
            OperatorError: the broker does not say.
        """
        committed: dict[tuple[str, TopicPartition], int] = {}
        for service in SERVICES:
            partitions = await self._partitions(consumed_by(service))
            told = await committed_offsets(self._admin, service, partitions, leaves_out=self._loose_ends)
            committed.update({(service, partition): offset for partition, offset in told.items()})
        self._committed = {partition: offset for (_, partition), offset in committed.items()}
        return committed

    async def extents(self, topics: Collection[str]) -> Mapping[TopicPartition, Extent]:
        """What the partitions of these topics hold now."""
        partitions = await self._partitions(topics)
        if not partitions:
            return {}
        begins = await self._consumer.beginning_offsets(partitions)
        ends = await self._consumer.end_offsets(partitions)
        if self._loose_ends:
            ends = {p: max(end, self._committed.get(p, 0)) for p, end in ends.items()}
        return {p: Extent(begins[p], ends[p]) for p in partitions}

    async def existing(self) -> Collection[str]:
        """Every topic there is."""
        return set(await self._admin.list_topics())

    async def read(self, partition: TopicPartition, extent: Extent) -> AsyncIterator[Sequence[Record]]:
        """The records of a partition, batch by batch.

        Raises:
            Unreadable: some of them cannot be read.
        """
        if extent.begin >= extent.end:
            return
        self._consumer.assign([partition])
        self._consumer.seek(partition, extent.begin)
        heard = time.monotonic()
        while True:
            try:
                found = await self._consumer.getmany(partition, timeout_ms=_POLL_MS, max_records=_BATCH)
            except (CorruptRecordException, UnsupportedCodecError) as failure:
                raise Unreadable(type(failure).__name__) from failure
            except (KafkaError, ConsumerStoppedError):
                raise
            except Exception as failure:
                # The library found bytes it cannot decode.
                raise Unreadable(type(failure).__name__) from failure
            records = found.get(partition, [])
            if not self._loose_ends:
                records = [record for record in records if record.offset < extent.end]
            if records:
                heard = time.monotonic()
                yield records
            if await self._consumer.position(partition) >= extent.end and (records == [] or not self._loose_ends):
                return
            if not records and time.monotonic() - heard > _SILENCE_SECONDS:
                raise Unreadable("silence")

    async def _partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        existing = await self.existing()
        described = await self._admin.describe_topics([topic for topic in topics if topic in existing])
        return [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in described
            for partition in topic["partitions"]
        ]


@asynccontextmanager
async def kafka_log(target: Target) -> AsyncIterator[KafkaLog]:
    """The broker of this system.

    Raises:
        OperatorError: it does not answer, or fails in the block.
    """
    accept_any_header_name()
    settings = target.settings.kafka
    admin = AIOKafkaAdminClient(**client_options(settings))
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    try:
        try:
            await connected(admin, settings)
            await connected(consumer, settings)
        except BrokerAway as failure:
            raise OperatorError(target.broker_away()) from failure
        with broker_named(target.bootstrap_servers):
            yield KafkaLog(admin, consumer, loose_ends=not settings.require_log_append_time)
    finally:
        await disconnected(consumer)
        await admin.close()
