"""What a service commits, and what the broker answers: nothing beyond the finished prefix, nothing taken back."""

import asyncio
from dataclasses import dataclass

from tests.faults.proxy.kafka_wire import committed, error_codes
from tests.faults.proxy.link import Link
from tests.faults.proxy.traps import ANSWER, Fate

_CAUGHT_UP_SECONDS = 1.0

#: A partition of the topic that is watched, with the topic's name.
Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit that the broker has answered."""

    #: When it was answered (monotonic, s).
    at: float
    offsets: dict[Partition, int]
    refused: bool


class Commits:
    """Every commit that passes a link from now on."""

    def __init__(self, link: Link, topic: str) -> None:
        self._trap = link.trap(ANSWER, "OffsetCommit", topic, then=Fate.PASSED, times=None)

    async def until(self, count: int = 1, *, within: float = 30.0) -> None:
        """Wait until there were so many."""
        await self._trap.until_caught(count, within=within)

    async def caught_up(self) -> int:
        """Wait until what was finished before is committed; answers how many commits there were then.

        A service commits at most once in 100 ms, so what it commits later than this it has finished later.
        """
        await asyncio.sleep(_CAUGHT_UP_SECONDS)
        return self.count

    @property
    def count(self) -> int:
        """How many there were so far."""
        return len(self._trap.caught)

    def since(self, count: int = 0) -> list[Commit]:
        """Those after the first `count`."""
        return [
            Commit(caught.at, committed(caught.request), any(error_codes(caught.request, caught.answer)))
            for caught in self._trap.caught[count:]
        ]


def nothing_set_back(*groups: Commits) -> None:
    """No commit that was accepted took back what was committed before it, by whichever instance.

    Raises:
        AssertionError: one did.
    """
    reached: dict[Partition, int] = {}
    for commit in sorted((commit for group in groups for commit in group.since()), key=lambda commit: commit.at):
        if commit.refused:
            continue
        for partition, offset in commit.offsets.items():
            before = reached.get(partition, 0)
            assert offset >= before, f"{partition} was set back from {before} to {offset}"
            reached[partition] = offset
