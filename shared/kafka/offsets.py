"""Commits of finished prefixes, off the critical path: coalesced, at most one in 100 ms per consumer.

A later commit only means more harmless redelivery; a commit beyond the finished prefix would lose records and
cannot be asked for here.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

_log = structlog.get_logger()

COMMIT_INTERVAL = 0.1
#: The timestamp of a record that has none (Kafka protocol).
NO_TIMESTAMP = -1


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
        #: The first record that was fetched of each partition: its offset.
        self._begun: dict[TopicPartition, int] = {}
        #: When the last finished record was written, or, where it is later, the first one in hand.
        self._written: dict[TopicPartition, int] = {}
        self._wake = asyncio.Event()
        self._one_commit = asyncio.Lock()

    def assigned(self, partitions: set[TopicPartition]) -> None:
        """These partitions are ours from now on; they start where the group's commits say."""
        self._assigned = set(partitions)
        for held in (self._finished, self._dirty, self._begun, self._written):
            for partition in set(held) - self._assigned:
                del held[partition]

    def revoked(self, partitions: set[TopicPartition]) -> None:
        """These partitions are another consumer's: whatever finishes late is not ours to commit."""
        self.assigned(self._assigned - partitions)

    def holds(self, partition: TopicPartition) -> bool:
        """Whether this partition is ours."""
        return partition in self._assigned

    def fetched(self, partition: TopicPartition, offset: int, written_at: int = NO_TIMESTAMP) -> None:
        """This record is the first in hand of its partition; `written_at` is its timestamp (epoch milliseconds)."""
        if partition in self._assigned:
            self._begun.setdefault(partition, offset)
            self._note_time(partition, written_at)

    def finish(self, partition: TopicPartition, next_offset: int, written_at: int = NO_TIMESTAMP) -> None:
        """Everything before `next_offset` is finished; ignored for a partition that is no longer ours.

        `written_at` is the timestamp of the last finished record (epoch milliseconds).
        """
        if partition not in self._assigned or next_offset <= self._finished.get(partition, -1):
            return
        self._finished[partition] = next_offset
        self._dirty[partition] = next_offset
        self._note_time(partition, written_at)
        self._wake.set()

    def next_offset(self, partition: TopicPartition) -> int | None:
        """The offset after the finished prefix; None before anything was fetched here."""
        return self._finished.get(partition, self._begun.get(partition))

    def written_at(self, partition: TopicPartition) -> int | None:
        """No record that is still to be finished was written before this moment (epoch milliseconds); None: unknown."""
        return self._written.get(partition)

    def _note_time(self, partition: TopicPartition, written_at: int) -> None:
        if written_at > self._written.get(partition, NO_TIMESTAMP):
            self._written[partition] = written_at

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
            except CommitFailedError as refusal:
                _log.warning("offsets.refused", error=type(refusal).__name__)
            except KafkaError as failure:
                # Also IllegalStateError: one partition that has just gone refuses the offsets of all others with it.
                _log.warning("offsets.delayed", error=type(failure).__name__)
                self._again(offsets)

    def _again(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._dirty = {**{p: o for p, o in offsets.items() if p in self._assigned}, **self._dirty}
        if self._dirty:
            self._wake.set()
