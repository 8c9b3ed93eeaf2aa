"""Commands of `audit --repair` and `recalculate --course`: success is what the broker acknowledged."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import RequestTimedOutError

from ops.development import DevelopmentIdentity, SigningAlgorithm
from ops.target import Target
from shared.kafka import assembly
from tests.unit.ops.conftest import Command


@dataclass
class Producer:
    """Takes everything, and acknowledges it or not."""

    failure: Exception | None = None
    sent: list[dict[str, bytes]] = field(default_factory=list)

    async def start(self) -> None:
        """It answers."""

    async def stop(self) -> None:
        """It ends."""

    async def flush(self) -> None:
        """Waits for acknowledgements, and says nothing about them, as aiokafka's does."""

    async def send(self, _topic: str, _value: bytes, _key: bytes, *, headers: list[tuple[str, bytes]]) -> Any:
        self.sent.append(dict(headers))
        acknowledged: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if self.failure is None:
            acknowledged.set_result(None)
        else:
            acknowledged.set_exception(self.failure)
            acknowledged.exception()  # whoever does not look is not told
        return acknowledged


@pytest.fixture
def producer(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Producer:
    """The producer of every command, and an audit that finds one difference."""
    made = Producer()
    identity = DevelopmentIdentity.create(tmp_path, algorithm=SigningAlgorithm.ES256)
    monkeypatch.setenv("LESSON_PROGRESS_AUTH__JWKS", str(identity.key_set))
    monkeypatch.setattr(assembly, "make_producer", lambda *_, **__: made)
    state = SimpleNamespace(percent=1.0, completed_at=None)
    found = SimpleNamespace(kind="percent", enrollment_id="enrollment-1", stored=state, expected=state)

    class Auditor:
        async def differences(self, _: object) -> AsyncIterator[Any]:
            yield found

    @asynccontextmanager
    async def auditor(_: Target) -> AsyncIterator[Auditor]:
        yield Auditor()

    monkeypatch.setattr(Target, "auditor", auditor)
    return made


def test_what_the_broker_did_not_take_is_no_success(command: Command, producer: Producer, tmp_path: Path) -> None:
    producer.failure = RequestTimedOutError()

    course = command("recalculate", "--course", "bread")
    audit = command("audit", "--repair", "--report", str(tmp_path / "report.json"))

    for ended in (course, audit):
        assert ended.code == 1
        assert "failed (RequestTimedOutError)" in ended.err
        assert "requested" not in ended.err
    assert course.out == ""
    assert not (tmp_path / "report.json").exists()


def test_a_repair_is_reported_once_it_is_sent(command: Command, producer: Producer, tmp_path: Path) -> None:
    ended = command("audit", "--repair", "--report", str(tmp_path / "report.json"))

    assert ended.code == 0
    assert "1 recalculations requested" in ended.err
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["repaired"] is True
    assert [difference["enrollmentId"] for difference in report["differences"]] == ["enrollment-1"]


def test_two_repairs_of_one_enrollment_are_two_commands(command: Command, producer: Producer) -> None:
    command("audit", "--repair")
    command("audit", "--repair")

    first, second = (headers["ce_id"] for headers in producer.sent)
    assert first != second


def test_a_repair_without_a_token_is_refused_before_the_audit(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LESSON_PROGRESS_MONGO__URI", "mongodb://127.0.0.1:9/?directConnection=true")

    ended = command("audit", "--repair")

    assert "an operator's token is needed" in ended.err
