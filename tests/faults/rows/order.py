"""What a service publishes and what it commits, in the order in which both pass its link to the broker."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tests.faults.proxy.kafka_wire import acknowledged, committed
from tests.faults.proxy.link import Link
from tests.faults.proxy.traps import ANSWER, REQUEST, Fate
from tests.faults.rows.commits import Partition

#: The place of a record: its partition, with the topic's name, and its offset.
Place = tuple[Partition, int]


class Asked(NamedTuple):
    """One commit that a service has asked for, whether it was answered or not."""

    #: When (monotonic, s).
    at: float
    offsets: Mapping[Partition, int]


class Order:
    """Every publication and every commit that passes a link from now on, until the link is mended as a whole."""

    def __init__(self, link: Link, *, takes: str, publishes: str) -> None:
        self._commits = link.trap(REQUEST, "OffsetCommit", takes, then=Fate.PASSED, times=None)
        self._publications = link.trap(ANSWER, "Produce", publishes, then=Fate.PASSED, times=None)

    def asked(self) -> list[Asked]:
        """Every commit so far, in order."""
        return [Asked(caught.at, committed(caught.request)) for caught in self._commits.caught]

    def published(self) -> dict[bytes, float]:
        """When each event (by its id) was first acknowledged (monotonic, s)."""
        first: dict[bytes, float] = {}
        for caught in self._publications.caught:
            for headers in acknowledged(caught.request, caught.answer):
                first.setdefault(headers["ce_id"], caught.at)
        return first


def in_order(asked: Iterable[Asked], published: Mapping[bytes, float], follows: Mapping[Place, bytes]) -> None:
    """Each of these records was let go by a commit, and none before the event that follows from it was acknowledged.

    Raises:
        AssertionError: one was too early, or there was no commit of one.
    """
    let_go: dict[Place, float] = {}
    for commit in asked:
        for partition, offset in follows:
            if commit.offsets.get(partition, 0) > offset:
                let_go.setdefault((partition, offset), commit.at)
    for place, event in follows.items():
        assert place in let_go, f"no commit of {place} was seen"
        assert event in published, f"{place} was committed, and its event never acknowledged"
        early = published[event] - let_go[place]
        assert early <= 0, f"{place} was committed {early:.3f} s before its event was acknowledged"
