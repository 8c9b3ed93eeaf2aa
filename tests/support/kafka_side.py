"""A service's Kafka side whose producer and subscription are made up; nothing is opened."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.progress.messaging import ACCEPTS
from shared.kafka import assembly
from shared.kafka.assembly import KafkaSide
from shared.settings import KafkaSettings
from tests.support.fake_verifier import FakeVerifier
from tests.support.key_set import FakeClock
from tests.support.process import answering


async def at_once() -> None:
    """A start that ends at once."""
    await asyncio.sleep(0)


class Part:
    """A producer or a subscription: started as the test says, and told that it is no longer needed."""

    def __init__(self, starting: Callable[[], Any]) -> None:
        self.starting = starting
        self.begun = asyncio.Event()
        self.stopped = False
        self.failing: Exception | None = None

    async def start(self) -> None:
        self.begun.set()
        await self.starting()

    async def stop(self) -> None:
        self.stopped = True
        if self.failing is not None:
            raise self.failing


class Parts:
    """A Kafka side, and the made-up parts that it stands on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.producer, self.subscription = Part(at_once), Part(at_once)

        async def checked(*_: object, **__: object) -> None:
            """The topics are as they should be."""

        monkeypatch.setattr(assembly, "check_topics", checked)
        monkeypatch.setattr(assembly, "make_producer", lambda *_, **__: self.producer)
        monkeypatch.setattr(assembly, "Subscription", lambda **_: self.subscription)
        self.side = KafkaSide(
            "progress",
            settings=KafkaSettings(bootstrap_servers="127.0.0.1:1"),
            batch_size=10,
            accepts=ACCEPTS,
            handler=answering(),
            verifier=FakeVerifier(),
            clock=FakeClock(),
            registry=CollectorRegistry(),
            fatal=lambda _: None,
        )
