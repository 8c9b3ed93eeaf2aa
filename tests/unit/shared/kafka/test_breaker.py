"""The breaker: a bad deploy must not drain a topic into the dead letters; only a restart closes it."""

import pytest
from aiokafka import TopicPartition

from services.progress.messaging import ACCEPTS
from shared.contracts.topics import PROGRESS_COMMANDS
from shared.kafka.assembly import BreakerOpen
from shared.kafka.retries import Breaker
from tests.support.builders import command
from tests.support.fake_log import FakeLog
from tests.support.kafka_side import Parts
from tests.support.process import Process, answering
from tests.unit.shared.kafka.conftest import Script

P0, P1 = TopicPartition(PROGRESS_COMMANDS, 0), TopicPartition(PROGRESS_COMMANDS, 1)
BUG = ZeroDivisionError("division by zero")


def die(breaker: Breaker, *offsets: int, partition: TopicPartition = P0) -> None:
    for offset in offsets:
        breaker.finished(partition, offset, died=True)


def live(breaker: Breaker, *offsets: int, partition: TopicPartition = P0) -> None:
    for offset in offsets:
        breaker.finished(partition, offset, died=False)


@pytest.mark.parametrize(("deaths", "opens"), [(20, False), (21, True)])
def test_more_than_twenty_in_a_row_open_it(deaths: int, *, opens: bool) -> None:
    breaker = Breaker()

    die(breaker, *range(deaths))

    assert breaker.open is opens


@pytest.mark.parametrize(("deaths", "opens"), [(100, False), (101, True)])
def test_more_than_a_tenth_of_a_partition_s_last_thousand_open_it(deaths: int, *, opens: bool) -> None:
    breaker = Breaker()

    for number in range(deaths):
        die(breaker, 9 * number)
        live(breaker, *range(9 * number + 1, 9 * number + 9))

    assert breaker.open is opens


def test_deaths_longer_ago_than_a_thousand_records_are_forgotten() -> None:
    breaker = Breaker()
    for start in (0, 1200):
        for number in range(start, start + 200, 2):
            die(breaker, number)
            live(breaker, number + 1)
        live(breaker, *range(start + 200, start + 1200))

    assert not breaker.open


def test_partitions_are_counted_each_for_itself() -> None:
    breaker = Breaker()

    for partition in (P0, P1):
        die(breaker, *range(20), partition=partition)

    assert not breaker.open


async def test_a_service_whose_breaker_is_open_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    side = Parts(monkeypatch).side
    die(side._breaker, *range(21))

    with pytest.raises(BreakerOpen, match="restart when the cause is mended"):
        await side.check()


async def test_a_restart_closes_it_and_what_was_left_is_handled(process: Process, log: FakeLog, script: Script) -> None:
    for number in range(40):
        script.raising[f"culprit-{number}"] = BUG
        log.add(command(f"culprit-{number}"))
    await process.run(batches=300)
    assert (process.breaker.open, log.committed[P0]) == (True, 20)

    mended = Process(log, accepts=ACCEPTS, handler=answering("recorded"))
    await mended.run()

    assert not mended.breaker.open
    assert mended.names == ["recorded"] * 20
    assert log.committed[P0] == 40
    assert len(log.read("progress.deadletters")) == 20
