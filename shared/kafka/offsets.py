"""Commits of finished prefixes, off the critical path: coalesced, at most one in 100 ms per consumer.

A later commit only means more harmless redelivery; a commit beyond the finished prefix would lose records and
cannot be asked for here.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

_log = structlog.get_logger()

COMMIT_INTERVAL = 0.1


class Committer(Protocol):
    """The part of a consumer that commits."""

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Store the next offset to read of each partition."""


class Offsets:
    """The next offset to read of every assigned partition, and which of them are still to be committed."""

    def __init__(self, interval: float = COMMIT_INTERVAL) -> None:
        self._interval = interval
        self._assigned: set[TopicPartition] = set()
        self._finished: dict[TopicPartition, int] = {}
        self._dirty: dict[TopicPartition, int] = {}
        self._wake = asyncio.Event()
        self._one_commit = asyncio.Lock()

    def assigned(self, partitions: set[TopicPartition]) -> None:
        """These partitions are ours from now on; they start where the group's commits say."""
        self._assigned = set(partitions)
        for held in (self._finished, self._dirty):
            for partition in set(held) - self._assigned:
                del held[partition]

    def revoked(self, partitions: set[TopicPartition]) -> None:
        """These partitions are another consumer's: whatever finishes late is not ours to commit."""
        self.assigned(self._assigned - partitions)

    def holds(self, partition: TopicPartition) -> bool:
        """Whether this partition is ours."""
        return partition in self._assigned

    def finish(self, partition: TopicPartition, next_offset: int) -> None:
        """Everything before `next_offset` is finished; ignored for a partition that is no longer ours."""
        if partition not in self._assigned or next_offset <= self._finished.get(partition, -1):
            return
        self._finished[partition] = next_offset
        self._dirty[partition] = next_offset
        self._wake.set()

    def next_offset(self, partition: TopicPartition) -> int | None:
        """The offset after the finished prefix; None before anything was finished here."""
        return self._finished.get(partition)

    async def run(self, committer: Committer) -> None:
        """Commit what is finished until cancelled."""
        while True:
            await self._wake.wait()
            await self.flush(committer)
            await asyncio.sleep(self._interval)

    async def flush(self, committer: Committer) -> None:
        """Commit now what is finished; a refused or failed commit leaves harmless redelivery behind."""
        async with self._one_commit:
            self._wake.clear()
            offsets, self._dirty = self._dirty, {}
            if not offsets:
                return
            try:
                await committer.commit(offsets)
            except (CommitFailedError, IllegalStateError) as refusal:
                _log.warning("offsets.refused", error=type(refusal).__name__)
            except KafkaError as failure:
                _log.warning("offsets.delayed", error=type(failure).__name__)
                self._again(offsets)

    def _again(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._dirty = {**{p: o for p, o in offsets.items() if p in self._assigned}, **self._dirty}
        if self._dirty:
            self._wake.set()
