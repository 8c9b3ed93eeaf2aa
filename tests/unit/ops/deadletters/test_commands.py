"""`dead-letters`, as it is typed: what is refused before any broker is asked, and what Ctrl-C says."""

import asyncio
import json
import os
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from ops.deadletters.planning import Plan
from ops.deadletters.session import write_value
from ops.errors import OperatorError
from tests.support.builders import command as lesson_command
from tests.support.builders import envelope, record
from tests.support.fake_log import FakeLog
from tests.support.process import Process
from tests.unit.ops.conftest import Command
from tests.unit.ops.deadletters.conftest import Operator


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


@pytest.mark.parametrize("deed", [["replay"], ["discard", "--reason", "known"]], ids=["replay", "discard"])
def test_without_a_yes_nothing_can_be_sent(command: Command, monkeypatch: pytest.MonkeyPatch, deed: list[str]) -> None:
    asked: list[object] = []

    async def carried_out(_target: object, _wanted: object, _rule: object, do: object, **_: object) -> Plan:
        asked.append(do)
        return Plan()

    monkeypatch.setattr("ops.deadletters.session.carried_out", carried_out)

    command("dead-letters", *deed, "--service", "progress")

    assert asked == [None]


def test_ctrl_c_says_how_many_are_done(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    async def carried_out(*_: object, sent: Any, **__: object) -> None:
        sent.acknowledged = 1_234
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(30)

    monkeypatch.setattr("ops.deadletters.session.carried_out", carried_out)

    ended = command("dead-letters", "replay", "--service", "progress", "--yes")

    assert ended.code == 130
    assert ended.err == "lesson-progress: interrupted; 1,234 are done; the same command goes on with the others\n"


def test_ctrl_c_names_what_is_left_of_the_letters_that_were_named(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"progress.commands:0:{n}" for n in range(3)]

    async def carried_out(*_: object, sent: Any, **__: object) -> None:
        sent.acknowledged, sent.waiting = 1, names[1:]
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(30)

    monkeypatch.setattr("ops.deadletters.session.carried_out", carried_out)

    ended = command("dead-letters", "replay", *names, "--yes")

    assert ended.err.endswith(f"interrupted; 1 are done; to go on, name the others alone: {names[1]} {names[2]}\n")


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


@pytest.fixture
def typed(command: Command, operator: Operator, service: Process, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command on a system in memory that holds two dead letters."""
    monkeypatch.setattr("ops.target.current", lambda: operator)
    service.log.add(lesson_command(value=b"{"), record(headers=envelope("lesson.complete.v2")))
    asyncio.run(service.run())

    def run(*arguments: str) -> Any:
        return command("dead-letters", *arguments)

    return run


def test_a_list_is_a_table_or_json_and_a_count(typed: Command) -> None:
    shown, as_json = typed("list"), typed("list", "--error", "UnknownType", "--json")

    assert "progress.commands:0:0" in shown.out
    assert "dead letters: 2 open" in shown.out
    [row] = json.loads(as_json.out)
    assert (row["position"], row["error"], row["state"]) == ("progress.commands:0:1", "UnknownType", "open")
    assert "1 of 2 are shown" in typed("list", "--limit", "1").out
    assert typed("list", "--key", "nobody").out.endswith("dead letters: none\n")


def test_a_replay_says_what_it_would_send_then_sends_it_and_the_next_finds_nothing(
    typed: Command, log: FakeLog
) -> None:
    dry = typed("replay", "--service", "progress", "--json")
    assert (json.loads(dry.out)["letters"], json.loads(dry.out)["done"], log.read("progress.replays")) == (2, False, [])
    assert "nothing was done; repeat with --yes" in dry.err

    done = typed("replay", "--service", "progress", "--rate", "1000", "--yes", "--json")
    assert (json.loads(done.out)["sent"], len(log.read("progress.replays"))) == (2, 2)
    again = typed("replay", "--service", "progress", "--yes")
    assert "2 letters left alone: it was sent already" in again.out
    assert "there is nothing to replay" in again.out
    assert (dry.code, done.code, again.code) == (0, 0, 0)


def test_a_letter_is_shown_line_by_line_and_put_away(typed: Command) -> None:
    shown = typed("show", "progress.commands:0:0")
    assert "error: InvalidPayload" in shown.out
    assert "  authorization: ***" in shown.out
    assert shown.out.endswith("value: {\n")

    discarded = typed("discard", "progress.commands:0:0", "--reason", "seen", "--yes")

    assert (discarded.code, "1 put away" in discarded.out) == (0, True)
    assert "dead letters: 1 open" in typed("list").out
    assert "dead letters: 1 discarded, 1 open" in typed("list", "--all").out
    missing = typed("show", "progress.commands:0:9")
    assert (missing.code, "there is no dead letter of progress.commands:0:9" in missing.err) == (1, True)
