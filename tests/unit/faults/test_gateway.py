"""What is said not to have come out was looked for among all that had: the gateway catches up first."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from aiokafka import TopicPartition

from shared.contracts import topics
from tests.support.gateway import Gateway

PLACE = TopicPartition(topics.LESSON_COMPLETED, 0)


class Topic:
    """A consumer of one partition, which gives what was delivered; the broker may have more."""

    def __init__(self, ends: int) -> None:
        self._ends = ends
        self._deliveries: deque[list[Any]] = deque()

    async def start(self) -> None:
        """There is nothing to connect to."""

    stop = start

    def deliver(self, *offsets: int) -> None:
        self._deliveries.append(
            [SimpleNamespace(topic=PLACE.topic, key=None, value=None, headers=(), offset=offset) for offset in offsets]
        )

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return {PLACE.partition} if topic == PLACE.topic else None

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self._ends)

    async def getmany(self, *, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0.001)
        return {PLACE: self._deliveries.popleft()} if self._deliveries else {}


@asynccontextmanager
async def following(topic: Topic) -> AsyncIterator[Gateway]:
    identity: Any = None
    with (
        mock.patch("tests.support.gateway.AIOKafkaConsumer", return_value=topic),
        mock.patch("tests.support.gateway.AIOKafkaProducer", mock.AsyncMock),
    ):
        async with Gateway("", identity, lambda service: service) as gateway:
            yield gateway


async def test_it_has_caught_up_when_it_has_seen_the_last_record_that_was_there() -> None:
    topic = Topic(ends=3)
    async with following(topic) as gateway:
        topic.deliver(0, 1)
        with pytest.raises(AssertionError, match="not seen within"):
            await gateway.caught_up(seconds=0.1)

        topic.deliver(2)
        await gateway.caught_up(seconds=5)

        assert len(gateway.seen(topics.LESSON_COMPLETED)) == 3


async def test_where_nothing_came_out_there_is_nothing_to_catch_up_with() -> None:
    async with following(Topic(ends=0)) as gateway:
        await gateway.caught_up(seconds=5)
