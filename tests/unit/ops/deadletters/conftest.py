"""One system in memory: a service over a fake log, and an operator who reads and writes the same log."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, cast

import pytest
from aiokafka import TopicPartition
from rich.console import Console

from ops.deadletters import reading
from ops.deadletters.letter import Known
from ops.deadletters.planning import Plan, left_by_discard, left_by_replay
from ops.deadletters.selection import Selection, selection
from ops.deadletters.sending import Pace, Sent, mark_discarded, send_again
from ops.deadletters.session import Deed, Listing, carried_out, listed
from ops.target import Target
from services.progress.messaging import ACCEPTS
from shared.kafka.records import Record
from tests.support.fake_clients import FakeProducer
from tests.support.fake_log import FakeLog
from tests.support.issuer import NOW
from tests.support.process import Process, answering

AS_FAST_AS_IT_GOES = 10_000.0


class Reader:
    """aiokafka's consumer without a group, as far as it is used; it begins at the ends."""

    def __init__(self, log: FakeLog, topics: Iterable[str]) -> None:
        self._log = log
        self._positions = {p: log.end(p) for p in log.partitions_of(topics)}

    def assignment(self) -> set[TopicPartition]:
        return set(self._positions)

    async def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    async def seek_to_beginning(self) -> None:
        self._positions = {partition: self._log.begins.get(partition, 0) for partition in self._positions}

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: self._log.begins.get(partition, 0) for partition in partitions}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[partition] = offset

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Record]]:
        del timeout_ms
        for partition in partitions or self._positions:
            at = self._positions[partition]
            records = self._log.topics[partition.topic][partition.partition][at : at + max_records]
            if records:
                self._positions[partition] += len(records)
                return {partition: records}
        return {}


class Operator:
    """Stands for the system that a command talks to, and runs what commands run."""

    bootstrap_servers = "nowhere:9092"

    def __init__(self, log: FakeLog) -> None:
        self.log = log
        self.producer_made = FakeProducer(log)
        self.out = Console(stderr=True)
        self.sent = Sent()

    @asynccontextmanager
    async def reader(self, *topics: str) -> AsyncIterator[Reader]:
        yield Reader(self.log, topics)

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[FakeProducer]:
        yield self.producer_made

    async def list(self, wanted: Selection | None = None, *, discarded: bool = False, limit: int = 100) -> Listing:
        found = wanted or Selection()
        target = cast("Target", self)
        return await listed(target, found, limit=limit, discarded=discarded, out=self.out)

    async def only(self) -> Known:
        """The one letter there is, discarded or not."""
        [known] = (await self.list(discarded=True)).letters
        return known

    async def replay(
        self, *positions: str, yes: bool = True, limit: int | None = None, pace: Pace | None = None, **found_by: str
    ) -> Plan:
        async def deed(*arguments: Any) -> None:
            await send_again(*arguments, pace=pace or Pace(AS_FAST_AS_IT_GOES))

        return await self._carry_out(left_by_replay, deed if yes else None, positions, limit, found_by)

    async def discard(self, *positions: str, yes: bool = True, limit: int | None = None, **found_by: str) -> Plan:
        async def deed(*arguments: Any) -> None:
            await mark_discarded(*arguments, pace=Pace(AS_FAST_AS_IT_GOES), reason="seen", at=NOW)

        return await self._carry_out(left_by_discard, deed if yes else None, positions, limit, found_by)

    async def _carry_out(
        self,
        rule: Any,
        deed: Deed | None,
        positions: Sequence[str],
        limit: int | None,
        found_by: dict[str, Any],
    ) -> Plan:
        wanted = selection(positions, now=NOW, **found_by)
        self.sent = Sent()
        target = cast("Target", self)
        return await carried_out(target, wanted, rule, deed, limit=limit, sent=self.sent, out=self.out)


@pytest.fixture
def log() -> FakeLog:
    return FakeLog(partitions=2)


@pytest.fixture
def service(log: FakeLog) -> Process:
    """progress, which has nothing against any record that can be read."""
    return Process(log, accepts=ACCEPTS, handler=answering())


@pytest.fixture
def operator(log: FakeLog, monkeypatch: pytest.MonkeyPatch) -> Operator:
    class Groups:
        def __init__(self, _: object) -> None: ...

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def committed(self, _: str, topics: Iterable[str]) -> dict[TopicPartition, int]:
            return {p: log.committed[p] for p in log.partitions_of(topics) if p in log.committed}

    monkeypatch.setattr(reading, "GroupOffsets", Groups)
    return Operator(log)
