"""A replay's commands on their way to a broker that is away for a moment: each is acknowledged in the end."""

import asyncio
from collections.abc import Sequence

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError, TopicAuthorizationFailedError

from ops.platform.datasets import PlannedCompletion
from ops.replay import repeating, sending
from ops.replay.plan import PlannedCommand
from ops.replay.sending import send_all
from ops.replay.watching import Watch
from shared.errors import Fatal


class Broker:
    """Takes commands, and fails as it is told to: at once, or at the acknowledgement."""

    def __init__(self, *, refuses: Sequence[KafkaError] = (), loses: Sequence[KafkaError] = ()) -> None:
        self.refuses, self.loses = list(refuses), list(loses)
        self.log: list[str] = []

    async def send(
        self, _topic: str, _value: bytes, key: bytes, headers: list[tuple[str, bytes]]
    ) -> asyncio.Future[object]:
        if self.refuses:
            raise self.refuses.pop(0)
        acknowledgement: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if self.loses:
            acknowledgement.set_exception(self.loses.pop(0))
        else:
            self.log.append(dict(headers)["ce_id"].decode())
            acknowledgement.set_result(None)
        return acknowledgement


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_BREATH_SECONDS", 0.0)


COMMANDS = [PlannedCommand(n, PlannedCompletion(f"u{n}", "l", "c", 0), first=True) for n in range(3)]


async def replay_to(broker: Broker) -> Watch:
    watch = Watch("run", {(f"u{n}", "c"): f"e{n}" for n in range(3)})
    await send_all(COMMANDS, producer=broker, watch=watch, rate=None, tokens=lambda _: "token")
    return watch


async def test_what_is_not_acknowledged_is_sent_again_under_the_same_name() -> None:
    broker = Broker(refuses=[KafkaTimeoutError()], loses=[KafkaTimeoutError()])

    watch = await replay_to(broker)

    assert sorted(broker.log) == ["run:0", "run:1", "run:2"]
    assert (watch.sent, watch.sent_again) == (3, 2)


async def test_a_broker_that_does_not_come_back_ends_the_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeating, "AWAY_SECONDS", 0.0)

    with pytest.raises(KafkaTimeoutError):
        await replay_to(Broker(refuses=[KafkaTimeoutError() for _ in range(6)]))


async def test_a_broker_that_refuses_for_good_is_not_asked_again() -> None:
    broker = Broker(loses=[TopicAuthorizationFailedError()])

    with pytest.raises(Fatal, match="the broker refuses this service"):
        await replay_to(broker)

    assert broker.log == ["run:1", "run:2"]
