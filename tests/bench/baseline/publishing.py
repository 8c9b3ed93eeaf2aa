"""Messages in one record batch a partition: the client's `send` costs ten times as much for each of them."""

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from tests.bench.baseline.envelope import Header


class Message(NamedTuple):
    """One message to publish."""

    topic: str
    key: bytes
    value: bytes
    headers: list[Header]


async def queue(producer: AIOKafkaProducer, messages: Sequence[Message]) -> list[asyncio.Future[object]]:
    """Queue messages; answers the acknowledgements to come, one for each batch."""
    partitions = {topic: sorted(await producer.partitions_for(topic)) for topic in {m.topic for m in messages}}
    batches: list[tuple[str, int, Any]] = []
    open_batches: dict[tuple[str, int], Any] = {}
    for message in messages:
        choice = partitions[message.topic]
        target = message.topic, choice[_hash(message.key) % len(choice)]
        batch = open_batches.get(target)
        if batch is None or not _append(batch, message):
            batch = open_batches[target] = producer.create_batch()
            batches.append((*target, batch))
            _append(batch, message)
    acknowledgements: list[asyncio.Future[object]] = []
    for topic, partition, batch in batches:
        batch.close()
        acknowledgements.append(await producer.send_batch(batch, topic, partition=partition))
    return acknowledgements


def _append(batch: Any, message: Message) -> bool:
    return batch.append(timestamp=None, key=message.key, value=message.value, headers=message.headers) is not None


@lru_cache(maxsize=65_536)
def _hash(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF
