"""Ctrl-C ends a command with exit code 130 and a sentence that is true of it."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

from ops import entry
from ops.commands import options
from tests.unit.ops.conftest import Command


def test_ctrl_c_says_what_became_of_the_work(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    async def drift(*_: object, **__: object) -> list[object]:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(30)
        return []

    monkeypatch.setattr("shared.kafka.provisioning.drift", drift)

    ended = command("topics", "diff")

    assert ended.code == 130
    assert ended.err == "lesson-progress: interrupted; nothing was changed\n"


@pytest.mark.filterwarnings("error")
def test_ctrl_c_before_the_first_step_says_the_same(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def still_importing() -> Iterator[None]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(options, "said_to_people", still_importing)

    ended = command("topics", "diff")
    gc.collect()

    assert (ended.code, ended.out) == (130, "")
    assert ended.err == "lesson-progress: interrupted; nothing was changed\n"


@pytest.mark.parametrize(
    ("runs", "sentence"), [(0, "nothing was changed"), (1, "what was done so far stays")], ids=["before", "after"]
)
def test_ctrl_c_outside_of_its_work_is_a_sentence_too(
    command: Command, monkeypatch: pytest.MonkeyPatch, runs: int, sentence: str
) -> None:
    async def nothing() -> None:
        """Its work."""

    def current(**_: object) -> None:
        for _run in range(runs):
            options.run(nothing(), interrupted="never")
        raise KeyboardInterrupt

    monkeypatch.setattr("ops.target.current", current)

    ended = command("audit")

    assert (ended.code, ended.out, ended.err) == (130, "", f"lesson-progress: interrupted; {sentence}\n")


def test_ctrl_c_while_the_command_is_being_read_is_a_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted(ModuleType):
        def __getattr__(self, _: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "ops.cli", Interrupted("ops.cli"))

    with pytest.raises(SystemExit) as ended:
        entry.main()

    assert ended.value.code == 130
    assert capsys.readouterr().err == "lesson-progress: interrupted; nothing was changed\n"
