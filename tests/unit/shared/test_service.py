"""One service process: it waits for the outside, serves from the first moment, drains, and closes in order."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from shared import ending
from shared import service as module
from shared.errors import Fatal, Transient
from shared.service import Service, run_until_signalled
from shared.settings import HttpSettings
from tests.support.eventually import eventually


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "backoff", lambda _: 0.001)


class Story:
    """What happened, in order; and what is to go wrong."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.failures: dict[str, list[Exception]] = {}

    def tell(self, what: str) -> None:
        self.told.append(what)
        if self.failures.get(what):
            raise self.failures[what].pop(0)

    def resource(self, name: str) -> Callable[[], AbstractAsyncContextManager[None]]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[None]:
            self.tell(f"open {name}")
            try:
                yield
            finally:
                self.tell(f"close {name}")

        return opened

    # The consuming side.

    async def start(self) -> None:
        self.tell("consume")

    async def drain(self, seconds: float) -> None:
        assert seconds < module.GRACE_SECONDS
        self.tell("drain")

    async def stop(self) -> None:
        self.tell("stop")


@pytest.fixture
def story() -> Story:
    return Story()


def service_of(story: Story, *background: Callable[[], Any], http: FastAPI | None = None, port: int = 0) -> Service:
    return Service(
        name="progress",
        http=http or FastAPI(),
        http_settings=HttpSettings(port=port),
        resources=(story.resource("database"), story.resource("keys")),
        consuming=story,
        background=background,
    )


async def until_started(service: Service) -> asyncio.Task[None]:
    running = asyncio.create_task(service.run())
    await eventually(lambda: service.started or running.done())
    return running


async def test_resources_open_before_anything_is_consumed_and_close_last_in_reverse(story: Story) -> None:
    service = service_of(story)
    running = await until_started(service)
    service.stop()
    await running
    assert story.told == [
        "open database", "open keys", "consume", "drain", "stop", "close keys", "close database",
    ]  # fmt: skip


@pytest.mark.parametrize("part", ["open database", "open keys", "consume"])
async def test_what_is_away_at_the_start_is_waited_for(
    story: Story, part: str, lines: list[MutableMapping[str, Any]]
) -> None:
    story.failures[part] = [Transient("away"), Transient("away")]
    service = service_of(story)
    running = await until_started(service)
    service.stop()
    await running
    assert story.told.count(part) == 3
    assert [line["attempt"] for line in lines if line["event"] == "service.waits"] == [1, 2]


@pytest.mark.parametrize("part", ["open database", "open keys", "consume"])
async def test_what_can_never_work_ends_the_service_with_its_sentence(story: Story, part: str) -> None:
    story.failures[part] = [Fatal("mend the settings")]
    with pytest.raises(Fatal, match="mend the settings"):
        await service_of(story).run()
    opened = [what.removeprefix("open ") for what in story.told if what.startswith("open") and what != part]
    closed = [what.removeprefix("close ") for what in story.told if what.startswith("close")]
    assert closed == opened[::-1]


async def test_it_can_be_stopped_while_it_waits(story: Story) -> None:
    story.failures["open database"] = [Transient("away")] * 1_000_000
    service = service_of(story)
    running = asyncio.create_task(service.run())
    await eventually(lambda: len(story.told) > 2)
    service.stop()
    await asyncio.wait_for(running, 5)
    assert "consume" not in story.told


async def test_http_answers_while_the_service_still_waits(story: Story, free_port: int) -> None:
    story.failures["open database"] = [Transient("away")] * 1_000_000
    http = FastAPI()

    @http.get("/health/live")
    async def live() -> str:
        return "ok"

    service = service_of(story, http=http, port=free_port)
    running = asyncio.create_task(service.run())

    async def answers() -> bool:
        try:
            return (await client.get("/health/live")).status_code == 200
        except httpx.ConnectError:
            return False

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{free_port}") as client:
        await eventually(answers)
    service.stop()
    await running


async def test_a_port_that_is_taken_is_said_in_one_sentence(story: Story, free_port: int) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", free_port)
    async with taken:
        with pytest.raises(Fatal, match=f"127.0.0.1:{free_port}: mend LESSON_PROGRESS_PROGRESS__HTTP__PORT"):
            await service_of(story, port=free_port).run()


async def test_a_failure_while_it_runs_drains_and_ends_it(story: Story) -> None:
    service = service_of(story)
    running = await until_started(service)
    service.fail(Fatal("the loop failed"))
    service.fail(Fatal("and so did what came after"))
    with pytest.raises(Fatal, match="the loop failed"):
        await running
    assert story.told[-4:] == ["drain", "stop", "close keys", "close database"]


async def test_draining_is_bounded(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LAST_WORDS_SECONDS", 0.01 - module._DRAIN_SECONDS)

    async def for_ever(_: float) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(story, "drain", for_ever)
    service = service_of(story)
    running = await until_started(service)
    service.stop()
    await asyncio.wait_for(running, 5)
    assert story.told[-3:] == ["stop", "close keys", "close database"]


async def for_ever(*_: object) -> None:
    await asyncio.Event().wait()


def stubborn(enough: asyncio.Event) -> Callable[..., Any]:
    """Takes no notice of any cancellation, until it is enough."""

    async def wait(*_: object) -> None:
        while not enough.is_set():
            with suppress(asyncio.CancelledError):
                await enough.wait()

    return wait


class TestTheDeadline:
    """What hangs is cut short; here at once, and not after ten seconds."""

    def test_all_the_parts_fit_into_it(self) -> None:
        assert module.GRACE_SECONDS == 10
        assert module._DRAIN_SECONDS + module._LAST_WORDS_SECONDS < module._WORK_SECONDS
        assert module._WORK_SECONDS + ending.CUTS * ending.CUT_SECONDS < module._HTTP_SECONDS
        assert module._HTTP_SECONDS + ending.CUT_SECONDS < module._PROCESS_SECONDS < module.GRACE_SECONDS

    @pytest.fixture
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_WORK_SECONDS", 0.05)
        monkeypatch.setattr(ending, "CUT_SECONDS", 0.02)

    async def test_a_resource_that_hangs_while_it_opens_is_given_up(self, story: Story) -> None:
        service = service_of(story)

        @asynccontextmanager
        async def hanging() -> AsyncIterator[None]:
            story.tell("open keys")
            await for_ever()
            yield

        service.resources = (story.resource("database"), hanging)
        running = asyncio.create_task(service.run())
        await eventually(lambda: "open keys" in story.told)
        service.stop()
        await asyncio.wait_for(running, 5)
        assert story.told == ["open database", "open keys", "close database"]

    async def test_a_start_that_hangs_is_given_up_and_what_it_began_is_let_go(
        self, story: Story, monkeypatch: pytest.MonkeyPatch, lines: list[MutableMapping[str, Any]]
    ) -> None:
        begun = asyncio.Event()

        async def start() -> None:
            begun.set()
            await for_ever()

        monkeypatch.setattr(story, "start", start)
        service = service_of(story)
        running = asyncio.create_task(service.run())
        await begun.wait()
        service.stop()
        await asyncio.wait_for(running, 5)
        assert story.told[-3:] == ["stop", "close keys", "close database"]
        assert not service.started
        assert {line["event"] for line in lines}.isdisjoint({"service.started", "service.cut_short"})

    @pytest.mark.usefixtures("_soon")
    async def test_whatever_hangs_in_letting_go_the_rest_is_closed(
        self, story: Story, monkeypatch: pytest.MonkeyPatch, lines: list[MutableMapping[str, Any]]
    ) -> None:
        monkeypatch.setattr(story, "drain", for_ever)
        monkeypatch.setattr(story, "stop", for_ever)
        service = service_of(story)
        running = await until_started(service)
        service.stop()
        await asyncio.wait_for(running, 5)
        assert story.told[-2:] == ["close keys", "close database"]
        assert [line["event"] for line in lines].count("service.cut_short") == 1

    @pytest.mark.usefixtures("_soon")
    async def test_what_takes_no_notice_is_left_behind(self, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
        enough = asyncio.Event()
        monkeypatch.setattr(story, "stop", stubborn(enough))
        service = service_of(story)
        running = await until_started(service)
        service.fail(Fatal("the loop failed"))
        with pytest.raises(Fatal, match="the loop failed"):
            await asyncio.wait_for(running, 5)
        enough.set()
        await eventually(lambda: story.told[-1] == "close database")

    async def test_draining_has_its_time_before_anything_is_cut(
        self, story: Story, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        committed: list[str] = []

        async def drain(_: float) -> None:
            await asyncio.sleep(0.1)
            committed.append("all")

        monkeypatch.setattr(story, "drain", drain)
        service = service_of(story)
        running = await until_started(service)
        service.stop()
        await asyncio.wait_for(running, 5)
        assert committed == ["all"]


class TestBackgroundWork:
    async def test_it_is_repeated_until_the_end(self, story: Story) -> None:
        turns = 0

        async def work() -> None:
            nonlocal turns
            turns += 1
            await asyncio.sleep(0)

        service = service_of(story, work)
        running = await until_started(service)
        await eventually(lambda: turns > 5)
        service.stop()
        await running
        after = turns
        await asyncio.sleep(0)
        assert turns == after

    @pytest.mark.parametrize("failure", [Transient("away"), ZeroDivisionError()], ids=repr)
    async def test_it_is_tried_again_after_a_failure_and_the_log_says_when_that_is_over(
        self, story: Story, failure: Exception, lines: list[MutableMapping[str, Any]]
    ) -> None:
        failures = [failure, failure]
        done = asyncio.Event()

        async def work() -> None:
            await asyncio.sleep(0)
            if failures:
                raise failures.pop()
            done.set()

        service = service_of(story, work)
        running = await until_started(service)
        await asyncio.wait_for(done.wait(), 5)
        service.stop()
        await running
        told = [line for line in lines if line["event"].startswith("background.")]
        assert len(told) == 3
        assert (told[-1]["event"], told[-1]["attempt"], told[-1]["reason"]) == (
            "background.resumed", 2, str(failure) or type(failure).__name__,
        )  # fmt: skip

    async def test_what_can_never_work_ends_the_service(self, story: Story) -> None:
        async def work() -> None:
            raise Fatal("the keys are no longer kept fresh")

        with pytest.raises(Fatal, match="no longer kept fresh"):
            await service_of(story, work).run()


@pytest.fixture
def _stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_leave", lambda _: None)


@pytest.mark.usefixtures("_stays")
def test_a_fatal_failure_is_exit_code_one_and_one_line(story: Story, lines: list[MutableMapping[str, Any]]) -> None:
    story.failures["consume"] = [Fatal("mend the settings")]
    assert run_until_signalled(lambda: service_of(story)) == 1
    assert [line["reason"] for line in lines if line["event"] == "service.failed"] == ["mend the settings"]


@pytest.mark.usefixtures("_stays")
def test_a_stopped_service_is_exit_code_zero(story: Story) -> None:
    def make() -> Service:
        service = service_of(story)
        service.stop()
        return service

    assert run_until_signalled(make) == 0


@pytest.mark.parametrize(
    "at_work",
    [
        "await asyncio.to_thread(time.sleep, 60)",
        "await motor.frameworks.asyncio.run_on_executor(asyncio.get_running_loop(), time.sleep, 60)",
        "time.sleep(60)",
    ],
    ids=["of the loop", "of the database driver", "the loop itself"],
)
def test_a_thread_at_work_does_not_keep_the_process(tmp_path: Path, at_work: str) -> None:
    script = tmp_path / "service.py"
    script.write_text(
        """
import asyncio, sys, time
import motor.frameworks.asyncio
from contextlib import asynccontextmanager
from fastapi import FastAPI
from shared import service
from shared.settings import HttpSettings

service._WORK_SECONDS = 0.05
service._PROCESS_SECONDS = 0.5

@asynccontextmanager
async def pool():
    yield
    AT_WORK

class Nothing:
    async def start(self):
        made.stop()
    async def drain(self, seconds): ...
    async def stop(self): ...

made = None
def make():
    global made
    made = service.Service("progress", FastAPI(), HttpSettings(port=0), (pool,), Nothing())
    return made

sys.exit(service.run_until_signalled(make))
""".replace("AT_WORK", at_work)
    )
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, str(script)], timeout=30, check=False, capture_output=True, cwd=Path.cwd(),
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
