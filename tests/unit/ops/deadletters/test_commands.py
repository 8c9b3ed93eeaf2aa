"""`dead-letters`, as it is typed: what is refused before any broker is asked, and what Ctrl-C says."""

import asyncio
import os
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from ops.deadletters.session import write_value
from ops.errors import OperatorError
from tests.unit.ops.conftest import Command


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["replay"], "say which are to be replayed"),
        (["replay", "--yes"], "say which are to be replayed"),
        (["discard", "--reason", "seen"], "say which are to be discarded"),
        (["discard", "--service", "progress"], "say why"),
        (["discard", "--service", "progress", "--reason", " "], "say why"),
        (["discard", "--service", "progress", "--reason", "x" * 501], "say why"),
        (["list", "somewhere"], "is no position"),
        (["show", "somewhere"], "is no position"),
        (["list", "--since", "soon"], "is no time"),
    ],
)
def test_what_means_nothing_is_refused_in_one_sentence(
    command: Command,
    arguments: list[str],
    sentence: str,
) -> None:
    ended = command("dead-letters", *arguments)

    assert ended.code == 1
    assert sentence in ended.err
    assert ended.err.count("\n") == 1


def test_ctrl_c_says_how_many_were_sent(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    async def carried_out(*_: object, sent: Any, **__: object) -> None:
        sent.acknowledged = 1_234
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(30)

    monkeypatch.setattr("ops.deadletters.session.carried_out", carried_out)

    ended = command("dead-letters", "replay", "--service", "progress", "--yes")

    assert ended.code == 130
    assert ended.err == "lesson-progress: interrupted; 1,234 were sent; the same command goes on with the others\n"


def test_a_value_is_written_to_a_new_file_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "value"

    write_value(path, b"\xff")

    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"\xff", 0o600)
    with pytest.raises(OperatorError, match="is there already"):
        write_value(path, b"other")
    with pytest.raises(OperatorError, match="cannot be written"):
        write_value(tmp_path / "absent" / "value", b"other")
    with pytest.raises(OperatorError, match="there is no value"):
        write_value(tmp_path / "null", None)
    assert [p.name for p in tmp_path.iterdir()] == ["value"]
