"""How far services have come is what the broker says, and never a guess."""

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from ops.errors import OperatorError
from ops.verify.reading import KafkaLog

COMMANDS = TopicPartition("progress.commands", 0)


class Admin:
    """A cluster with one topic, whose coordinator tells some offsets, or answers as it does to an error: nothing."""

    def __init__(self, told: dict[TopicPartition, int]) -> None:
        self._told = told

    async def list_topics(self) -> list[str]:
        return [COMMANDS.topic]

    async def describe_topics(self, topics: list[str]) -> list[dict[str, Any]]:
        return [{"topic": topic, "partitions": [{"partition": 0}]} for topic in topics]

    async def list_consumer_group_offsets(
        self, _: str, *, partitions: list[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        return {p: OffsetAndMetadata(self._told[p], "") for p in partitions if p in self._told}


def log(told: dict[TopicPartition, int], *, loose_ends: bool = False) -> KafkaLog:
    return KafkaLog(Admin(told), None, loose_ends=loose_ends)


async def test_what_a_group_has_committed_is_known_and_who_has_committed_nothing_is_left_out() -> None:
    assert await log({COMMANDS: 7}).committed() == {("progress", COMMANDS): 7}
    assert await log({COMMANDS: -1}).committed() == {}


async def test_a_coordinator_that_does_not_say_is_not_taken_for_a_group_that_has_done_nothing() -> None:
    with pytest.raises(OperatorError, match=r"does not say how far progress has come.*run the command again"):
        await log({}).committed()


async def test_the_embedded_broker_leaves_out_what_was_never_committed() -> None:
    assert await log({}, loose_ends=True).committed() == {}
