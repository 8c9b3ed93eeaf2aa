"""Let a service handle again what its topics of commands have taken since a moment: for a database that was restored.

Only commands are gone back to: every event follows from them again, with the same id and the same bytes. What is still
stored is found and not doubled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from aiokafka import TopicPartition

from ops.errors import OperatorError
from ops.failures import broker_named
from ops.offsets import GroupOffsets
from ops.target import Target
from shared.contracts.topics import TOPICS, consumed_by


@dataclass(frozen=True, slots=True)
class Rewind:
    """One partition that is to be gone back in: from the next offset to read, to an earlier one."""

    topic: str
    partition: int
    from_offset: int
    to_offset: int
    #: The topic begins here and had begun before: records since the moment may have gone with the topic's age.
    may_lack: bool

    @property
    def records(self) -> int:
        """How many records would be handled again."""
        return self.from_offset - self.to_offset


def moment(text: str) -> int:
    """A moment in epoch milliseconds, from ISO 8601 with its zone; no record is older than 1970.

    Raises:
        OperatorError: it is none.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or at.timestamp() < 0:
        raise OperatorError(f"{text!r} is no moment; write it with its zone, as 2026-01-31T03:00:00Z")
    return int(at.timestamp() * 1000)


def iso(at: int) -> str:
    """A moment for people."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")


def command_topics(service: str) -> list[str]:
    """The topics that a service reads commands from, replays of nothing but commands included."""
    commands = {kind for topic in TOPICS.values() if topic.commands for kind in topic.types}
    return [name for name in consumed_by(service) if commands.issuperset(TOPICS[name].types)]


class Rewinder:
    """Finds how far a service's group has to go back, and sends it there; open it with `async with`."""

    def __init__(self, target: Target, service: str) -> None:
        self._service = service
        self._servers = target.bootstrap_servers
        self._offsets = GroupOffsets(target, group=service)
        self._consumer = self._offsets.consumer

    async def __aenter__(self) -> Self:
        await self._offsets.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._offsets.__aexit__()

    async def plan(self, since: int) -> Sequence[Rewind]:
        """What has to be gone back over to handle again everything taken since then (epoch ms).

        Raises:
            OperatorError: the service is running, or the broker failed.
        """
        with broker_named(self._servers):
            await self._refuse_when_running()
            partitions = list(await self._offsets.ends(command_topics(self._service)))
            self._consumer.assign(partitions)
            first = await self._consumer.beginning_offsets(partitions)
            found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, since))
            plan = [_rewind(p, await self._consumer.committed(p), first[p], found.get(p)) for p in partitions]
        return [step for step in plan if step is not None and step.records > 0]

    async def rewind(self, plan: Sequence[Rewind]) -> None:
        """Send the group there.

        Raises:
            OperatorError: the service is running again, or the broker failed.
        """
        with broker_named(self._servers):
            await self._refuse_when_running()
            targets: Mapping[TopicPartition, int] = {
                TopicPartition(step.topic, step.partition): step.to_offset for step in plan
            }
            await self._consumer.commit(dict(targets))

    async def _refuse_when_running(self) -> None:
        if members := await self._offsets.members(self._service):
            raise OperatorError(
                f"{self._service} is running ({members} in its group): stop every replica of it first; one that was "
                "killed counts until its session time-out is over"
            )


def _rewind(partition: TopicPartition, committed: int | None, first: int, found: object) -> Rewind | None:
    if committed is None:
        return None  # it begins at the beginning anyway
    offset = max(first, getattr(found, "offset", committed))
    return Rewind(partition.topic, partition.partition, committed, offset, may_lack=0 < first == offset)
