"""Let a service handle again what its topics still hold: for a database, or a broker, that was restored.

After a database, only commands are gone back to: every event follows from them again, with the same id and the same
bytes, and one that came before its record would be a dead letter. After a broker, events too: their records are stored.
What is still stored is found and not doubled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Self

from aiokafka import TopicPartition

from ops.errors import OperatorError
from ops.failures import broker_named
from ops.moments import moment as typed
from ops.offsets import GroupOffsets
from ops.target import Target
from shared.contracts.topics import TOPICS, consumed_by

_HINT = "is no moment; write it with its zone, as 2026-01-31T03:00:00Z, or as 2h (ago)"


@dataclass(frozen=True, slots=True)
class Rewind:
    """One partition that is to be gone back in: from the next offset to read, to an earlier one."""

    topic: str
    partition: int
    from_offset: int
    to_offset: int
    #: How many records would be handled again.
    records: int
    #: The topic begins here and had begun before: records that are wanted may have gone with the topic's age.
    may_lack: bool
    #: The group stands beyond the partition's end: the topic lost records, and would lose as many again in silence.
    beyond_end: bool

    @property
    def moves(self) -> bool:
        """Whether there is anything to go back over."""
        return self.to_offset < self.from_offset


def moment(text: str, *, now: int) -> int:
    """A moment in epoch milliseconds: `2h` before now, or ISO 8601 with its zone; no record is older than 1970.

    Raises:
        OperatorError: it is none.
    """
    return typed(text, now=now, hint=_HINT)


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

    async def plan(self, since: int | None, *, events: bool = False) -> Sequence[Rewind]:
        """What has to be gone back over, and what may lack, to handle again what was taken since then (epoch ms).

        None is the beginning of what the topics still hold. Whoever names a moment answers for commands that were
        written before it and handled after it. `events`: in topics of events too.

        Raises:
            OperatorError: the service is running, or the broker failed.
        """
        with broker_named(self._servers):
            await self._refuse_when_running()
            topics = consumed_by(self._service) if events else command_topics(self._service)
            ends = await self._offsets.ends(topics)
            self._consumer.assign(list(ends))
            first = await self._consumer.beginning_offsets(list(ends))
            wanted = first if since is None else await self._since(ends, since)
            steps = []
            for partition, end in ends.items():
                if (committed := await self._consumer.committed(partition)) is not None:
                    held = Held(first[partition], max(end, committed) if self._offsets.loose_ends else end)
                    steps.append(_rewind(partition, committed, held, wanted[partition]))
        return [step for step in steps if step.moves or step.may_lack]

    async def _since(self, ends: Mapping[TopicPartition, int], since: int) -> Mapping[TopicPartition, int]:
        """The first record since then; the end where there is none."""
        found = await self._consumer.offsets_for_times(dict.fromkeys(ends, since)) if ends else {}
        return {p: end if (start := found.get(p)) is None else start.offset for p, end in ends.items()}

    async def rewind(self, plan: Sequence[Rewind]) -> None:
        """Send the group there.

        Raises:
            OperatorError: the service is running again, or the broker failed.
        """
        with broker_named(self._servers):
            await self._refuse_when_running()
            targets: Mapping[TopicPartition, int] = {
                TopicPartition(step.topic, step.partition): step.to_offset for step in plan if step.moves
            }
            await self._consumer.commit(dict(targets))

    async def _refuse_when_running(self) -> None:
        if members := await self._offsets.members(self._service):
            raise OperatorError(
                f"{self._service} is running ({members} in its group): stop every replica of it first; one that was "
                "killed counts until its session time-out is over"
            )


class Held(NamedTuple):
    """What a partition holds: its first offset, and the one after its last."""

    first: int
    end: int


def may_lack(first: int, wanted: int) -> bool:
    """Whether what is wanted may have begun before the first offset that its partition still holds."""
    return 0 < first == wanted


def _rewind(partition: TopicPartition, committed: int, held: Held, wanted: int) -> Rewind:
    reached = min(committed, held.end)
    return Rewind(
        partition.topic,
        partition.partition,
        from_offset=committed,
        to_offset=(to_offset := min(wanted, reached)),
        records=max(0, reached - to_offset),
        may_lack=may_lack(held.first, wanted),
        beyond_end=committed > held.end,
    )
