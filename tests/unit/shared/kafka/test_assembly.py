"""A service's Kafka side: what it began is let go, however its start ends, and what is refused for good is said."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, KafkaError

from shared.errors import Fatal
from shared.kafka import assembly
from shared.kafka.assembly import BreakerOpen
from shared.kafka.connection import BrokerAway
from shared.settings import KafkaSettings
from tests.support.kafka_side import Part, Parts, at_once


async def never() -> None:
    await asyncio.Event().wait()


def raising(failure: Exception) -> Callable[[], Any]:
    async def start() -> None:
        raise failure

    return start


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    return Parts(monkeypatch)


@pytest.mark.parametrize("part", ["producer", "subscription"])
async def test_a_start_that_is_given_up_lets_go_of_what_it_began(parts: Parts, part: str) -> None:
    hanging: Part = getattr(parts, part)
    hanging.starting = never
    starting = asyncio.create_task(parts.side.start())
    await hanging.begun.wait()

    starting.cancel()
    await asyncio.wait({starting})

    assert parts.producer.stopped
    assert parts.subscription.stopped == parts.subscription.begun.is_set()


@pytest.mark.parametrize("part", ["producer", "subscription"])
@pytest.mark.parametrize(
    ("failure", "named"),
    [(KafkaConnectionError("no answer"), BrokerAway), (GroupAuthorizationFailedError("progress"), Fatal)],
    ids=["away", "refused"],
)
async def test_a_broker_that_is_away_is_waited_for_and_one_that_refuses_ends_the_service(
    parts: Parts, part: str, failure: KafkaError, named: type[Exception]
) -> None:
    failing: Part = getattr(parts, part)
    failing.starting = raising(failure)

    with pytest.raises(named):
        await parts.side.start()

    assert parts.producer.stopped


async def test_a_group_that_cannot_be_left_keeps_no_producer_open(parts: Parts) -> None:
    await parts.side.start()
    parts.subscription.failing = KafkaError("the coordinator is away")

    with pytest.raises(KafkaError):
        await parts.side.stop()

    assert parts.producer.stopped


async def test_a_service_whose_breaker_is_open_is_not_ready_and_says_why(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def topics() -> set[str]:
        return {"progress.commands"}

    monkeypatch.setattr(parts.side, "_existing_topics", topics)
    await parts.side.start()
    await parts.side.check()

    parts.side._breaker.open = True

    with pytest.raises(BreakerOpen, match="died of unknown causes; restart when the cause is mended"):
        await parts.side.check()


class TestWatchingTheConnection:
    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(assembly, "_CONNECTION_SECONDS", 0)

    async def test_a_broker_that_answers_is_left_alone(self, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parts.side, "_existing_topics", at_once)
        await parts.side.watch_connection()

    async def test_a_broker_that_is_away_is_waited_for(self, parts: Parts) -> None:
        with pytest.raises(BrokerAway):
            await parts.side.watch_connection()

    async def test_a_broker_that_no_longer_lets_us_in_ends_the_service(
        self, parts: Parts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def refused(_: KafkaSettings) -> Fatal:
            return Fatal("refuses the user")

        monkeypatch.setattr(assembly, "at_the_door", refused)
        with pytest.raises(Fatal, match="refuses the user"):
            await parts.side.watch_connection()
