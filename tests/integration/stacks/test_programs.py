"""The programs of a stack: how they are started, watched and ended, whatever they do."""

import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import pytest

from ops.stacks import StackError
from ops.stacks.home import open_home
from ops.stacks.programs import Program, Programs
from tests.support.eventually import eventually
from tests.support.programs import commands_with, gone

READY = "import pathlib, signal, sys, time; pathlib.Path('ready').touch(); "


@pytest.fixture
async def programs(tmp_path: Path) -> AsyncIterator[Programs]:
    async with open_home(tmp_path) as home:
        programs = Programs(home.path, home.logs, home.warden, lambda _: None)
        try:
            yield programs
        finally:
            await programs.stop_all(programs.running, timeout=0)


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., Program]:
    """Makes a program from Python source; it answers once it has made the file `ready`."""

    async def answers() -> bool:
        return (tmp_path / "ready").exists()

    def make(source: str, *, patience_seconds: float = 20) -> Program:
        command = (sys.executable, "-c", source)
        return Program("sample", "The sample", command, "its file", answers, patience_seconds=patience_seconds)

    return make


async def test_a_program_that_obeys_ends_with_its_own_exit_code(
    programs: Programs, python: Callable[..., Program]
) -> None:
    await programs.start(
        python("import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); " + READY + "time.sleep(60)")
    )

    assert programs.running == ["sample"]
    assert await programs.stop("sample", timeout=20) == 7
    assert programs.running == []


async def test_a_program_that_does_not_obey_is_killed(programs: Programs, python: Callable[..., Program]) -> None:
    await programs.start(python("import signal; signal.signal(15, signal.SIG_IGN); " + READY + "time.sleep(60)"))

    assert await programs.stop("sample", timeout=0.1) == -signal.SIGKILL


async def test_a_frozen_program_can_be_stopped(programs: Programs, python: Callable[..., Program]) -> None:
    await programs.start(python(READY + "time.sleep(60)"))
    programs.signal("sample", signal.SIGSTOP)

    assert await programs.stop("sample", timeout=20) == -signal.SIGTERM


async def test_what_a_program_leaves_behind_ends_with_it(
    programs: Programs, python: Callable[..., Program], tmp_path: Path
) -> None:
    marker = uuid4().hex
    left_behind = f"import subprocess; subprocess.Popen(['sh', '-c', 'while :; do sleep 1; done', '{marker}']); "
    await programs.start(python(left_behind + READY + "time.sleep(60)"))
    assert [line for line in await commands_with(marker) if line.startswith("sh ")]

    programs.kill("sample")

    await eventually(gone(marker), within=10)


async def test_a_kill_is_no_failure_but_an_end_by_itself_is(programs: Programs, python: Callable[..., Program]) -> None:
    await programs.start(python(READY + "time.sleep(60)"))
    programs.kill("sample")
    await programs.start(python(READY + "print('the last words'); sys.exit(3)"))

    with pytest.raises(StackError) as failure:
        await programs.watch()

    assert "The sample ended by itself (exit code 3)" in str(failure.value)
    assert "  | the last words" in str(failure.value)


async def test_a_program_that_never_answers_is_reported(programs: Programs, python: Callable[..., Program]) -> None:
    with pytest.raises(StackError, match=r"The sample did not answer at its file within 0 s\. The end of its log, /"):
        await programs.start(python("import time; time.sleep(60)", patience_seconds=0))


async def test_a_program_runs_once_at_a_time(programs: Programs, python: Callable[..., Program]) -> None:
    await programs.start(python(READY + "time.sleep(60)"))

    with pytest.raises(StackError, match="sample runs already"):
        await programs.start(python(READY))


async def test_a_program_that_is_not_there_has_no_signal_to_take(programs: Programs) -> None:
    with pytest.raises(StackError, match="progress does not run in this stack"):
        programs.kill("progress")


async def test_a_step_that_fails_says_why(programs: Programs, tmp_path: Path) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no space left')")

    with pytest.raises(StackError, match=r"The step failed with exit code 1(?s:.*)\| no space left"):
        await programs.run("step", "The step", command, directory=tmp_path, patience_seconds=20)


async def test_a_step_that_takes_too_long_is_ended_with_the_stack(tmp_path: Path) -> None:
    marker = uuid4().hex
    command = ("sh", "-c", "sleep 60; true", marker)
    async with open_home(tmp_path) as home:
        programs = Programs(home.path, home.logs, home.warden, lambda _: None)
        with pytest.raises(StackError, match="The step did not end within 0 s"):
            await programs.run("step", "The step", command, directory=tmp_path, patience_seconds=0)
        assert programs.running == ["step"]

    await eventually(gone(marker), within=10)


async def test_programs_see_nothing_of_the_environment_that_could_configure_them(
    programs: Programs, python: Callable[..., Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_ENGINE", "s3://elsewhere/")
    await programs.start(python("import os; print(sorted(os.environ), flush=True); " + READY + "time.sleep(60)"))

    seen = programs.log_path("sample").read_text()
    assert "'PATH'" in seen
    assert "STORAGE_ENGINE" not in seen
