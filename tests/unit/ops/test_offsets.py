"""How far services have come, and who is in their groups, is what the broker says, and never a guess."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.structs import OffsetAndMetadata

from ops.errors import OperatorError
from ops.offsets import GroupOffsets

P0, P1 = (TopicPartition("progress.commands", number) for number in (0, 1))


class Broker:
    """A topic of two partitions, and a coordinator that tells some offsets: none where it answers with an error."""

    def __init__(self, told: dict[TopicPartition, int], *, members: int = 0, error: int = 0) -> None:
        self._told = told
        self._members = [f"replica-{number}" for number in range(members)]
        self._error = error
        #: Where both partitions end, each time that it is asked for.
        self.ends = [10]

    async def list_topics(self) -> list[str]:
        return [P0.topic]

    async def describe_topics(self, topics: Sequence[str]) -> list[dict[str, Any]]:
        return [{"topic": topic, "partitions": [{"partition": 0}, {"partition": 1}]} for topic in topics]

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.ends.pop(0) if len(self.ends) > 1 else self.ends[0])

    async def list_consumer_group_offsets(
        self, _: str, *, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        return {p: OffsetAndMetadata(self._told[p], "") for p in partitions if p in self._told}

    async def describe_consumer_groups(self, groups: Sequence[str]) -> list[object]:
        told = [(self._error, group, "Stable", "consumer", "", self._members) for group in groups]
        return [SimpleNamespace(groups=told)]


class OfMemory(GroupOffsets):
    """Ours, over a broker in memory."""

    def __init__(self, broker: Broker, *, leaves_out: bool = False) -> None:
        self._servers, self._leaves_out = "broker-1:9092", leaves_out
        self._admin = self.consumer = cast("Any", broker)


async def test_what_was_never_committed_is_all_to_do_and_left_out_of_what_was() -> None:
    offsets = OfMemory(Broker({P0: 7, P1: -1}))

    assert await offsets.committed("progress", [P0.topic]) == {P0: 7}
    assert await offsets.behind("progress") == 3 + 10
    assert await offsets.behind_in("progress") == {P0.topic: 3 + 10}


async def test_a_coordinator_that_does_not_say_is_not_taken_for_a_group_that_has_done_nothing() -> None:
    offsets = OfMemory(Broker({}))

    with pytest.raises(OperatorError, match=r"does not say how far progress has come.*run the command again"):
        await offsets.committed("progress", [P0.topic])
    with pytest.raises(OperatorError, match=r"does not say how far progress has come.*run the command again"):
        await offsets.behind("progress")


async def test_the_embedded_broker_leaves_out_what_was_never_committed() -> None:
    offsets = OfMemory(Broker({P0: 7}), leaves_out=True)

    assert await offsets.committed("progress", [P0.topic]) == {P0: 7}
    assert await offsets.behind("progress") == 3 + 10


@pytest.mark.parametrize("end", [10, 0])
async def test_nobody_who_stands_beyond_the_end_of_a_topic_has_nothing_to_do(end: int) -> None:
    broker = Broker({P0: 12, P1: 3})
    broker.ends = [end]

    with pytest.raises(
        OperatorError, match=rf"has committed 12 in progress.commands, partition 0, which ends at {end}: "
    ):
        await OfMemory(broker).behind("progress")


async def test_what_was_written_and_finished_while_it_was_asked_for_is_no_loss() -> None:
    broker = Broker({P0: 12, P1: 7})
    broker.ends = [10, 12]
    assert await OfMemory(broker).behind("progress") == 3


async def test_ends_of_the_embedded_broker_may_be_too_low() -> None:
    assert await OfMemory(Broker({P0: 12, P1: 7}), leaves_out=True).behind("progress") == 3


async def test_whoever_is_in_a_group_is_counted() -> None:
    assert await OfMemory(Broker({}, members=2)).members("progress") == 2
    assert await OfMemory(Broker({})).members("progress") == 0


async def test_a_group_whose_coordinator_fails_is_not_taken_for_an_empty_one() -> None:
    offsets = OfMemory(Broker({}, error=GroupCoordinatorNotAvailableError.errno))

    with pytest.raises(OperatorError, match=r"broker-1:9092 failed \(GroupCoordinatorNotAvailableError\)"):
        await offsets.members("progress")
