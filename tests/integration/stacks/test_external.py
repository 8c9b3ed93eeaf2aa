"""The external stack: it starts the services that are asked for, and touches nothing else."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from ops.stacks import StackError, StackKind, start_stack

NAMED = {
    "LESSON_PROGRESS_KAFKA__BOOTSTRAP_SERVERS": "kafka.example:9092",
    "LESSON_PROGRESS_MONGO__URI": "mongodb://learner:secret@mongo.example/?replicaSet=rs0",
    "LESSON_PROGRESS_AUTH__JWKS": "https://issuer.example/jwks.json",
    "LESSON_PROGRESS_PROGRESS__HTTP__PORT": "8081",
    "LESSON_PROGRESS_PUBLIC_URL": "https://certificates.example",
}


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    for name, value in NAMED.items():
        monkeypatch.setenv(name, value)
    return NAMED


async def test_it_is_what_the_environment_names(named: Mapping[str, str]) -> None:
    async with start_stack(StackKind.EXTERNAL, services=()) as stack:
        assert named.items() <= stack.environment.items()
        assert stack.bootstrap_servers == "kafka.example:9092"
        assert stack.mongo_uri == named["LESSON_PROGRESS_MONGO__URI"]
        assert stack.http_url("progress") == "http://127.0.0.1:8081"
        assert stack.identity is None


async def test_its_parts_are_named_without_their_passwords(named: Mapping[str, str]) -> None:
    async with start_stack(StackKind.EXTERNAL, services=()) as stack:
        assert stack.parts.broker == "Kafka at kafka.example:9092"
        assert "secret" not in stack.parts.database


async def test_its_broker_is_not_ours_to_start(named: Mapping[str, str], tmp_path: Path) -> None:
    async with start_stack(StackKind.EXTERNAL, directory=tmp_path, services=()) as stack:
        with pytest.raises(StackError, match="This stack has no broker of its own"):
            await stack.start_part("broker")


async def test_a_port_that_is_none_is_named(
    named: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LESSON_PROGRESS_PROGRESS__HTTP__PORT", "abc")

    with pytest.raises(StackError, match="LESSON_PROGRESS_PROGRESS__HTTP__PORT is 'abc', and no port"):
        async with start_stack(StackKind.EXTERNAL, directory=tmp_path, services=()):
            pytest.fail("it started")


async def test_a_setting_that_cannot_be_read_is_named(
    named: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LESSON_PROGRESS_KAFKA__FETCH_MAX_WAIT_MS", "soon")

    with pytest.raises(StackError, match="look at LESSON_PROGRESS_KAFKA__FETCH_MAX_WAIT_MS"):
        async with start_stack(StackKind.EXTERNAL, directory=tmp_path, services=()):
            pytest.fail("it started")
