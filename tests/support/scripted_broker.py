"""FastStream's broker and its subscriber over a log in memory: groups, rebalances, and clients of a life."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

from aiokafka import TopicPartition

from shared.kafka.records import Record
from tests.support.fake_clients import FakeConsumer, FakeProducer
from tests.support.lives import LIFE, reach

if TYPE_CHECKING:
    from tests.support.outside import Outside

_LOOK_SECONDS, _LONGEST_LOOK_SECONDS = 0.01, 0.1


class Group:
    """A consumer group: its members share the partitions anew whenever one comes or goes."""

    def __init__(self) -> None:
        self.members: list[ScriptedSubscriber] = []
        self.generation = 0

    def join(self, member: ScriptedSubscriber) -> None:
        self.members.append(member)
        self.generation += 1

    def leave(self, member: ScriptedSubscriber) -> None:
        """A member says goodbye, or was silent for too long."""
        if member in self.members:
            self.members.remove(member)
            self.generation += 1

    def share(self, member: ScriptedSubscriber, partitions: set[TopicPartition]) -> set[TopicPartition]:
        """The partitions of one member."""
        return set(sorted(partitions)[self.members.index(member) :: len(self.members)])


class Listener(Protocol):
    """Who hears of a rebalance."""

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """These are no longer ours."""

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """These are ours now."""


class LivedConsumer(FakeConsumer):
    """A consumer whose commits may fail as the test wants."""

    def __init__(self, outside: Outside, service: str) -> None:
        super().__init__(outside.log, (), outside.steps)
        self.commit_failures = outside.commit_failures[service]

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        super().assign(partitions)
        self.position = _Positions(self.position)


class _Positions(dict[TopicPartition, int]):
    """Positions to look at, for tests, and to ask for, as the library's consumer is asked."""

    async def __call__(self, partition: TopicPartition) -> int:
        await reach("before a position is told")
        return self[partition]


class ScriptedSubscriber:
    """FastStream's subscriber: gives the loop batch after batch, and follows the group."""

    def __init__(self, outside: Outside, service: str, topics: Sequence[str], listener: Listener, most: int) -> None:
        self._outside = outside
        self._group = outside.groups[service]
        self._partitions = outside.log.partitions_of(topics)
        self._listener = listener
        self._most = most
        self._service = service
        self.life = LIFE.get()
        self._handler: Callable[[Sequence[Record]], Awaitable[None]] | None = None
        self._generation = 0
        self.released = 0
        self.consumer: LivedConsumer | None = None
        self.tasks: list[asyncio.Task[None]] = []

    def __call__(self, handler: Callable[[Sequence[Record]], Awaitable[None]]) -> None:
        self._handler = handler

    async def start(self) -> None:
        self.consumer = LivedConsumer(self._outside, self._service)
        self._group.join(self)
        self.tasks = [asyncio.create_task(self._feed()), asyncio.create_task(self._follow())]

    async def stop(self) -> None:
        await reach("before the group is left")
        for task in self.tasks:
            task.cancel()
        self._group.leave(self)

    async def _feed(self) -> None:
        assert self.consumer is not None
        assert self._handler is not None
        idle = 0.0
        while True:
            records = self.consumer.poll(self._most)
            if records:
                await self._handler(records)
            idle = 0.0 if records else min(_LONGEST_LOOK_SECONDS, idle * 2 or _LOOK_SECONDS)
            await asyncio.sleep(idle)

    async def _follow(self) -> None:
        """Take part in every rebalance: give everything back, wait for the others, take a share."""
        assert self.consumer is not None
        while True:
            if self._generation != self._group.generation:
                held = set(self.consumer.position)
                if held:
                    await self._listener.on_partitions_revoked(held)
                    self.consumer.assign(())
                if self not in self._group.members:
                    self._group.join(self)
                generation = self.released = self._group.generation
                await self._until_released(generation)
                if self._group.generation == generation:
                    share = self._group.share(self, self._partitions)
                    self.consumer.assign(share)
                    await self._listener.on_partitions_assigned(share)
                    self._generation = generation
            await asyncio.sleep(_LONGEST_LOOK_SECONDS)
            await reach("a look at the group")

    async def _until_released(self, generation: int) -> None:
        while self._group.generation == generation and any(m.released < generation for m in self._group.members):  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(_LOOK_SECONDS)


class ScriptedBroker:
    """FastStream's broker."""

    def __init__(self, outside: Outside, client_id: str) -> None:
        self._outside = outside
        self._service = client_id.removeprefix("lesson-progress-")
        self._subscriber: ScriptedSubscriber | None = None

    def subscriber(self, *topics: str, listener: Listener, max_records: int, **_settings: Any) -> ScriptedSubscriber:
        self._subscriber = ScriptedSubscriber(self._outside, self._service, topics, listener, max_records)
        return self._subscriber

    async def start(self) -> None:
        await reach("before the group is joined")
        if self._subscriber is not None:
            await self._subscriber.start()

    async def stop(self) -> None:
        if self._subscriber is not None:
            await self._subscriber.stop()


class LivedProducer(FakeProducer):
    """A producer that can be started and stopped, and meets the broker's troubles of the moment."""

    def __init__(self, outside: Outside) -> None:
        super().__init__(outside.log, outside.steps)
        self.refuse = lambda topic, value: outside.refuse(topic, value)  # noqa: PLW0108 - the trouble of that moment
        self.lose = lambda topic, value: outside.lose(topic, value)  # noqa: PLW0108 - the same
        self.silent = outside.silent
        self.client = self

    async def start(self) -> None:
        await reach("before the producer starts")

    async def stop(self) -> None:
        await reach("before the producer stops")

    async def fetch_all_metadata(self) -> Any:
        await reach("before the topics are listed")
        return SimpleNamespace(topics=lambda: set(self._log.topics))
