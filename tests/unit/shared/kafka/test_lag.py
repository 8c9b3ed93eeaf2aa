"""How far behind a consumer is, in records and in seconds."""

import pytest
from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from shared.kafka.lag import Lag
from shared.kafka.metrics import LoopMetrics
from shared.kafka.offsets import Offsets
from tests.support.key_set import FakeClock

P0, P1 = TopicPartition("progress.commands", 0), TopicPartition("progress.commands", 1)


class Watched:
    """A consumer as far as its lag goes."""

    def __init__(self) -> None:
        self.held = {P0, P1}
        self.ends: dict[TopicPartition, int | None] = {P0: 0, P1: 0}
        self.positions = {P0: 0, P1: 0}

    def assignment(self) -> set[TopicPartition]:
        return self.held

    def highwater(self, partition: TopicPartition) -> int | None:
        return self.ends[partition]

    async def position(self, partition: TopicPartition) -> int:
        return self.positions[partition]


class Gauges:
    """A lag over a watched consumer, read as Prometheus reads it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.offsets = Offsets()
        self.offsets.assigned({P0, P1})
        self.consumer = Watched()
        self.registry = CollectorRegistry()
        self.lag = Lag(self.offsets, LoopMetrics(self.registry), self.clock)

    async def refresh(self) -> None:
        await self.lag.refresh(self.consumer)

    def records(self, partition: TopicPartition) -> float | None:
        labels = {"topic": partition.topic, "partition": str(partition.partition)}
        return self.registry.get_sample_value("lesson_progress_consumer_lag_records", labels)

    @property
    def seconds(self) -> float | None:
        return self.registry.get_sample_value("lesson_progress_consumer_lag_seconds", {"topic": P0.topic})


@pytest.fixture
def gauges() -> Gauges:
    return Gauges()


async def test_records_behind_are_the_end_less_the_finished_prefix(gauges: Gauges) -> None:
    gauges.consumer.ends[P0] = 10
    gauges.offsets.finish(P0, 4)
    await gauges.refresh()
    assert (gauges.records(P0), gauges.records(P1)) == (6, 0)


async def test_before_anything_is_finished_the_position_counts(gauges: Gauges) -> None:
    gauges.consumer.ends[P0], gauges.consumer.positions[P0] = 10, 7
    await gauges.refresh()
    assert gauges.records(P0) == 3


async def test_before_the_first_fetch_nothing_is_behind(gauges: Gauges) -> None:
    gauges.consumer.ends[P0] = None
    await gauges.refresh()
    assert gauges.records(P0) == 0


async def test_seconds_behind_grow_while_records_wait_and_end_when_they_are_done(gauges: Gauges) -> None:
    await gauges.refresh()
    gauges.consumer.ends[P0] = 10
    gauges.clock.move(30_000)
    await gauges.refresh()
    assert gauges.seconds == 30
    gauges.offsets.finish(P0, 10)
    gauges.clock.move(1_000)
    await gauges.refresh()
    assert gauges.seconds == 0


async def test_the_partition_furthest_behind_speaks_for_its_topic(gauges: Gauges) -> None:
    await gauges.refresh()
    gauges.consumer.ends[P0] = gauges.consumer.ends[P1] = 10
    gauges.clock.move(5_000)
    gauges.offsets.finish(P1, 10)
    await gauges.refresh()
    assert gauges.seconds == 5


async def test_a_partition_that_went_away_is_no_longer_shown(gauges: Gauges) -> None:
    gauges.consumer.ends[P0] = 10
    await gauges.refresh()
    gauges.consumer.held = {P1}
    await gauges.refresh()
    assert gauges.records(P0) is None


async def test_a_topic_that_went_away_is_no_longer_late(gauges: Gauges) -> None:
    await gauges.refresh()
    gauges.consumer.ends[P0] = 10
    gauges.clock.move(60_000)
    await gauges.refresh()
    assert gauges.seconds == 60
    gauges.consumer.held = set()
    await gauges.refresh()
    assert gauges.seconds in {0, None}
