"""Where nobody answers, every command names the address that it tried, and where it has that from."""

from pathlib import Path

import pytest

from ops.target import current, from_environment
from tests.unit.ops.conftest import Command

BROKERS, DATABASE = "LESSON_PROGRESS_KAFKA__BOOTSTRAP_SERVERS", "LESSON_PROGRESS_MONGO__URI"
NO_BROKER = f"lesson-progress: no broker answers at 127.0.0.1:9 (from {BROKERS}); is the system up?\n"
NO_DATABASE = f"lesson-progress: the database does not answer at 127.0.0.1:9 (from {DATABASE}); is the system up?\n"


@pytest.fixture
def away(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, whose environment names a broker and a database that are not there."""
    monkeypatch.setenv(BROKERS, "127.0.0.1:9")
    monkeypatch.setenv(DATABASE, "mongodb://maya:secret@127.0.0.1:9/?directConnection=true")
    monkeypatch.setenv("LESSON_PROGRESS_MONGO__TIMEOUT_MS", "200")
    monkeypatch.setenv("LESSON_PROGRESS_TOKEN", "a-token")
    (tmp_path / "courses.jsonl").touch()
    return command


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("topics diff", NO_BROKER),
        ("topics create", NO_BROKER),
        ("topics apply", NO_BROKER),
        ("dead-letters list", NO_BROKER),
        ("recalculate an-enrollment", NO_BROKER),
        ("rewind progress", NO_BROKER),
        ("verify", NO_BROKER),
        ("audit", NO_DATABASE),
    ],
)
def test_the_sentence_is_one_and_nothing_else_is_said(away: Command, arguments: str, sentence: str) -> None:
    ended = away(*arguments.split())

    assert (ended.code, ended.out, ended.err) == (1, "", sentence)


@pytest.mark.usefixtures("command")
def test_a_default_and_a_system_of_this_folder_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    default = current().broker_away()
    monkeypatch.setattr("ops.target.noted", lambda: {BROKERS: "127.0.0.1:7"})
    here = current().broker_away()

    assert default == f"no broker answers at 127.0.0.1:9092 (the default of {BROKERS}); is the system up?"
    assert here == "no broker answers at 127.0.0.1:7 (of the system that is up in this folder); is the system up?"
    assert "(of the system that was started)" in from_environment({BROKERS: "127.0.0.1:7"}).broker_away()
