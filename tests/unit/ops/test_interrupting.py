"""Ctrl-C ends a command with exit code 130 and a sentence that is true of it."""

import asyncio
import os
import signal

import pytest

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
