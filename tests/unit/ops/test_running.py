"""The note that `up` leaves: one system a folder, found while it lives, and by nobody afterwards."""

import json
import os
from pathlib import Path

import pytest

from ops import running
from ops.errors import OperatorError
from ops.running import noted, only_one_here
from ops.target import current

NOTE = Path(".lesson-progress") / "running.json"
WHERE = {"LESSON_PROGRESS_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:29092"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("LESSON_PROGRESS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(running, "_PATIENCE_SECONDS", 0.0)
    return tmp_path


async def test_a_system_is_found_while_it_runs() -> None:
    async with only_one_here() as note:
        assert noted() is None
        note(WHERE)

        assert noted() == WHERE
        assert current().bootstrap_servers == "127.0.0.1:29092"
        assert oct(NOTE.stat().st_mode & 0o777) == "0o600"

    assert noted() is None
    assert not NOTE.exists()


async def test_a_second_system_in_the_folder_is_refused_and_the_first_keeps_its_note() -> None:
    async with only_one_here() as note:
        note(WHERE)

        with pytest.raises(OperatorError, match="runs in this folder: end it"):
            async with only_one_here():
                pytest.fail("there are two")

        assert noted() == WHERE


async def test_what_a_killed_system_noted_counts_for_nothing() -> None:
    NOTE.parent.mkdir()
    NOTE.write_text(json.dumps(WHERE))
    (NOTE.parent / "up.lock").touch()

    assert noted() is None
    assert current().bootstrap_servers == "127.0.0.1:9092"
    async with only_one_here():
        assert not NOTE.exists()


async def test_a_folder_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / ".lesson-progress").touch()

    with pytest.raises(OperatorError, match="cannot be written here"):
        async with only_one_here():
            pytest.fail("it was written")
