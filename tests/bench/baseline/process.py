"""The loop around every stage: read a batch, handle it, publish, wait for the acknowledgements, commit now and then."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol, TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from tests.bench.baseline.database import Database
from tests.bench.baseline.publishing import Message, queue
from tests.bench.baseline.settings import Settings

_COMMIT_SECONDS = 0.1
_POLL_MS = 500

Record: TypeAlias = ConsumerRecord[bytes, bytes]


class Stage(Protocol):
    """One of the three stages."""

    name: str
    topic: str

    async def start(self) -> None:
        """Make the indexes of what this stage owns."""

    async def handle(self, records: Sequence[Record]) -> tuple[list[Message], list[Message]]:
        """Do the work of a batch; answers its events, which are waited for, and its replies, which are not."""

    async def stop(self) -> None:
        """Let go of what `start` took."""


MakeStage: TypeAlias = Callable[[Database, Settings], Stage]


async def run(make: MakeStage, settings: Settings) -> None:
    """Run one stage until SIGTERM or SIGINT; at the end of standard input, its parent is gone, so is it."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # a batch is no garbage before it is finished
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    database = Database(settings)
    stage = make(database, settings)
    await stage.start()
    producer, consumer = _producer(settings), _consumer(stage, settings)
    await producer.start()
    await consumer.start()
    offsets: dict[TopicPartition, int] = {}
    beside = [asyncio.create_task(_commit_now_and_then(consumer, offsets)), asyncio.create_task(_end_with_parent())]
    try:
        while not stopping.is_set():
            batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=settings.batch_sizes[stage.name])
            await _take([record for batch in batches.values() for record in batch], stage, producer)
            offsets.update({partition: batch[-1].offset + 1 for partition, batch in batches.items()})
    finally:
        for task in beside:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await _commit(consumer, offsets)
        for part in (consumer, producer, stage):
            await part.stop()
        await database.close()


def _producer(settings: Settings) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, acks="all", enable_idempotence=False, max_batch_size=256 * 1024
    )


def _consumer(stage: Stage, settings: Settings) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        stage.topic,
        bootstrap_servers=settings.bootstrap_servers,
        group_id=stage.name,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_poll_interval_ms=600_000,
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )


async def _take(records: list[Record], stage: Stage, producer: AIOKafkaProducer) -> None:
    if not records:
        return
    events, replies = await stage.handle(records)
    acknowledgements = await queue(producer, events)
    await queue(producer, replies)
    await asyncio.gather(*acknowledgements)


async def _commit_now_and_then(consumer: AIOKafkaConsumer, offsets: dict[TopicPartition, int]) -> None:
    while True:
        await asyncio.sleep(_COMMIT_SECONDS)
        await _commit(consumer, offsets)


async def _commit(consumer: AIOKafkaConsumer, offsets: dict[TopicPartition, int]) -> None:
    if offsets:
        finished = dict(offsets)
        offsets.clear()
        await consumer.commit(finished)


async def _end_with_parent() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    os._exit(1)
