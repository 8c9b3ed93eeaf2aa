"""How far behind a consumer is, in records and in seconds."""

import pytest
from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from shared.contracts.topics import PROGRESS_COMMANDS
from shared.errors import Transient
from shared.kafka.lag import Lag
from shared.kafka.metrics import LoopMetrics
from shared.kafka.offsets import Offsets
from shared.kafka.records import Outcome
from tests.support.builders import command
from tests.support.fake_log import FakeLog
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock
from tests.support.process import Process
from tests.unit.shared.kafka.conftest import Script

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


async def test_a_busy_system_that_keeps_up_is_hardly_late_however_long_it_never_sees_the_end(gauges: Gauges) -> None:
    for second in range(3600):
        gauges.clock.move(1_000)
        gauges.consumer.ends[P0] = 100 * second + 3
        gauges.offsets.finish(P0, 100 * second, gauges.clock() - 20)
        await gauges.refresh()
    assert (gauges.records(P0), gauges.seconds) == (3, 0.02)


async def test_after_a_restart_a_backlog_is_as_old_as_its_first_record(gauges: Gauges) -> None:
    three_days = 3 * 86_400_000
    gauges.consumer.ends[P0] = gauges.consumer.positions[P0] = 10
    gauges.offsets.fetched(P0, 0, gauges.clock() - three_days)
    await gauges.refresh()
    assert (gauges.records(P0), gauges.seconds) == (10, three_days / 1000)

    gauges.offsets.finish(P0, 9, gauges.clock() - 60_000)
    await gauges.refresh()
    assert (gauges.records(P0), gauges.seconds) == (1, 60)


async def test_a_record_after_a_quiet_night_is_not_a_night_late(gauges: Gauges) -> None:
    gauges.offsets.finish(P0, 5, gauges.clock())
    gauges.consumer.ends[P0] = 5
    gauges.clock.move(8 * 3_600_000)
    await gauges.refresh()
    gauges.clock.move(1_000)
    gauges.consumer.ends[P0] = 6
    await gauges.refresh()
    assert gauges.seconds == 1


async def test_a_partition_that_was_elsewhere_brings_no_old_times_back(gauges: Gauges) -> None:
    gauges.offsets.fetched(P0, 4, gauges.clock() - 86_400_000)
    gauges.offsets.finish(P0, 5, gauges.clock() - 86_400_000)
    gauges.offsets.revoked({P0})
    gauges.offsets.assigned({P0, P1})
    gauges.consumer.ends[P0], gauges.consumer.positions[P0] = 10, 7
    await gauges.refresh()
    assert (gauges.records(P0), gauges.seconds) == (3, 0)


async def test_a_partition_whose_first_record_never_comes_is_behind_since_it_was_seen(gauges: Gauges) -> None:
    gauges.consumer.ends[P0], gauges.consumer.positions[P0] = 10, 0
    await gauges.refresh()
    assert (gauges.records(P0), gauges.seconds) == (10, 0)

    gauges.clock.now += 60_000
    await gauges.refresh()

    assert gauges.seconds == 60


async def test_a_clock_that_is_behind_the_broker_s_shows_no_negative_lag(gauges: Gauges) -> None:
    gauges.consumer.ends[P0] = 10
    gauges.offsets.finish(P0, 5, gauges.clock() + 5_000)
    await gauges.refresh()
    assert gauges.seconds == 0


async def test_the_loop_tells_when_what_it_has_in_hand_and_has_finished_was_written(
    process: Process, log: FakeLog, script: Script
) -> None:
    partition = TopicPartition(PROGRESS_COMMANDS, 0)
    log.add(*(command(f"lesson-{n}", timestamp=NOW + n) for n in range(4)))
    script.outcomes["lesson-0"] = Outcome("dead_letter", failure=Transient("away"))
    await process.batch()
    assert (process.offsets.next_offset(partition), process.offsets.written_at(partition)) == (0, NOW)

    script.outcomes["lesson-2"] = script.outcomes.pop("lesson-0")
    await process.run(batches=10)
    assert (process.offsets.next_offset(partition), process.offsets.written_at(partition)) == (4, NOW + 3)

    log.add(command("lesson-4", timestamp=NOW + 8), command("lesson-5", timestamp=NOW + 9))
    await process.batch()
    assert process.offsets.written_at(partition) == NOW + 9


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
