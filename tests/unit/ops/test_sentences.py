"""Whatever goes wrong, the operator reads one clear sentence; no stack is needed for these."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import NotLeaderForPartitionError
from pymongo.errors import AutoReconnect

import ops.cli
from ops.cli import main
from ops.commands.options import console, say
from ops.conversation import command_headers
from ops.development import DevelopmentIdentity, SigningAlgorithm
from ops.errors import OperatorError
from ops.offsets import GroupOffsets
from ops.replay.run import save_one_pdf
from ops.running import only_one_here
from ops.target import Target, from_environment
from ops.verify.index import COMMAND, Entry, Index
from shared.contracts.gateways import LessonComplete
from shared.errors import Fatal, Transient
from shared.kafka import assembly, provisioning
from shared.kafka.provisioning import Drift
from shared.mongo import client
from tests.unit.ops.conftest import Command

LONG = "x" * 256


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("up", "--directory", "a-file"), "A stack cannot use the directory a-file: File exists"),
        (("up", "--directory", "a-file/below"), "A stack cannot use the directory a-file/below: Not a directory"),
        (("up", "--import", "nope"), "there is no folder nope"),
        (("import", "a-file"), "a-file is a file; name a folder"),
        (("verify", "--report", "new/x.json"), "there is no folder new to write the report x.json in"),
        (("recalculate", "--course", "a\x01"), "course: ids have 1 to 255 characters"),
        (("recalculate", "--course", LONG), "course: ids have 1 to 255 characters"),
        (("recalculate", LONG), "enrollment: ids have 1 to 255 characters"),
        (("certificates", "revoke", "e", "--yes", "--reason", "x" * 501), "reason: ids have 1 to 255 characters"),
        (("token", "bad\udcff"), "the user's id: ids have 1 to 255 characters"),
        (("token", ""), "the user's id: ids have 1 to 255 characters"),
        (("token", LONG), "the user's id: ids have 1 to 255 characters"),
        (("complete", "lesson", "--user", "bad\udcff"), "the user's id: ids have 1 to 255 characters"),
        (("complete", "lesson", "--user", "u", "--token", "t.t.t"), "give either --user, or the learner's own --token"),
        (("complete", "lesson"), "give either --user, or the learner's own --token"),
        (("topics", "create", "--reply", "bad\udcff"), "no name for a reply topic"),
    ],
)
def test_bad_arguments_are_one_sentence(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], sentence: str
) -> None:
    identity = DevelopmentIdentity.create(tmp_path, algorithm=SigningAlgorithm.ES256)
    monkeypatch.setenv("LESSON_PROGRESS_AUTH__JWKS", str(identity.key_set))
    (tmp_path / "a-file").touch()

    ended = command(*arguments)

    assert ended.code == 1
    assert sentence in ended.err
    assert len(ended.err.splitlines()) == 1
    assert ended.out == ""


def test_a_port_that_is_none_is_named(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "MONGO__URI": "mongodb://127.0.0.1:9/",
        "AUTH__JWKS": "jwks.json",
        "PROGRESS__HTTP__PORT": "abc",
    }.items():
        monkeypatch.setenv(f"LESSON_PROGRESS_{name}", value)

    ended = command("up", "--stack", "external")

    assert ended.code == 1
    assert "LESSON_PROGRESS_PROGRESS__HTTP__PORT is 'abc', and no port" in ended.err


async def _note(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(folder)
    async with only_one_here():
        (folder / ".lesson-progress" / "running.json").write_text(text)
        with pytest.raises(OperatorError, match="start it again with `lesson-progress up`"):
            ops.running.noted()


@pytest.mark.parametrize("text", ['{"cut of', "[]", '{"a": 1}'])
async def test_a_note_that_is_broken_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    await _note(tmp_path, monkeypatch, text)


def test_a_replay_on_a_system_without_a_development_key_is_refused_before_anything_is_imported(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing answers there: an import would say that before anything else.
    monkeypatch.setenv("LESSON_PROGRESS_MONGO__URI", "mongodb://127.0.0.1:9/?directConnection=true")
    oulad = Path(__file__).parents[3] / "examples" / "oulad"

    ended = command("replay", str(oulad), "--stack", "external", "--course", "AAA-2014J")

    assert ended.code == 1
    assert "there is no development key here: replay on a system of its own" in ended.err
    assert "--token" not in ended.err


def test_a_demo_is_never_on_somebody_elses_system(command: Command) -> None:
    ended = command("demo", "--stack", "external")

    assert ended.code == 2
    assert "external" in ended.err


def test_completing_never_takes_the_operators_token_from_the_environment(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, str]] = []

    async def ask(_: Target, _topic: str, key: str, _message: object, token: str) -> None:
        sent.append((key, token))
        raise OperatorError("sent")

    identity = DevelopmentIdentity.create(tmp_path, algorithm=SigningAlgorithm.ES256)
    monkeypatch.setenv("LESSON_PROGRESS_AUTH__JWKS", str(identity.key_set))
    monkeypatch.setenv("LESSON_PROGRESS_TOKEN", "the-operators")
    monkeypatch.setattr("ops.conversation.ask", ask)

    command("complete", "lesson", "--user", "maya")
    command("complete", "lesson", "--token", "mayas-own")

    (key, token), own = sent
    assert key == "maya"
    assert "the-operators" not in (token, own[1])
    assert own[1] == "mayas-own"


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (NotLeaderForPartitionError(), "the broker failed (NotLeaderForPartitionError); see that it is up"),
        (AutoReconnect("connection closed"), "the database failed (AutoReconnect); see that it is up"),
        (PermissionError(13, "Permission denied", "/data/x"), "/data/x: Permission denied; mend that"),
        (Fatal("the settings are wrong"), "the settings are wrong"),
        (Transient("no broker answers"), "no broker answers"),
    ],
)
def test_what_nobody_translated_is_one_sentence_all_the_same(
    command: Command, monkeypatch: pytest.MonkeyPatch, failure: Exception, sentence: str
) -> None:
    def app() -> None:
        raise failure

    monkeypatch.setattr(ops.cli, "app", app)

    ended = command()

    assert ended.code == 1
    assert ended.err.startswith(f"lesson-progress: {sentence}")


def test_an_index_that_outgrows_its_disk_is_one_sentence(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def app() -> None:
        index = Index(tmp_path)
        index._db.execute("pragma max_page_count = 20")
        index.add(Entry(number.to_bytes(16), COMMAND) for number in range(100_000))

    monkeypatch.setattr(ops.cli, "app", app)

    ended = command()

    assert ended.code == 1
    assert ended.err == (
        "lesson-progress: the temporary index cannot be kept on disk (database or disk is full); "
        "set TMPDIR to a folder with room for it\n"
    )


def test_topics_that_differ_from_their_cards_are_listed_and_end_with_1(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drift(*_: object, **__: object) -> list[Drift]:
        return [Drift("progress.commands", "partitions", "6", "1")]

    monkeypatch.setattr(provisioning, "drift", drift)

    ended = command("topics", "diff")

    assert ended.code == 1
    assert ended.out == "progress.commands: partitions is 1, the card says 6\n"
    assert ended.err == (
        "lesson-progress: 1 difference between the topics and their cards; `lesson-progress topics apply` mends them\n"
    )


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def app() -> None:
        raise LookupError("a bug")

    monkeypatch.setattr(ops.cli, "app", app)
    monkeypatch.setattr(sys, "argv", ["lesson-progress"])

    with pytest.raises(LookupError):
        main()


class Connection:
    """Opens and closes, and nothing else."""

    async def start(self) -> None:
        """It answers."""

    async def stop(self) -> None:
        """It ends."""


def _producer(target: Target, monkeypatch: pytest.MonkeyPatch) -> AbstractAsyncContextManager[Any]:
    monkeypatch.setattr(assembly, "make_producer", lambda *_, **__: Connection())
    return target.producer()


def _database(target: Target, monkeypatch: pytest.MonkeyPatch) -> AbstractAsyncContextManager[Any]:
    async def ping(_: object) -> None:
        """It answers."""

    monkeypatch.setattr(client, "ping", ping)
    return target.database()


@pytest.mark.parametrize(
    ("opened", "failure", "sentence"),
    [
        (_producer, NotLeaderForPartitionError(), r"the broker at 127\.0\.0\.1:9092 failed \(NotLeaderForPartition"),
        (_database, AutoReconnect(), r"the database failed \(AutoReconnect\); see that it is up"),
        (_database, client.DatabaseAway("a bulk"), r"the database failed \(DatabaseAway\)"),
    ],
)
async def test_a_connection_that_fails_after_it_answered_says_what_failed(
    monkeypatch: pytest.MonkeyPatch,
    opened: Callable[..., AbstractAsyncContextManager[Any]],
    failure: Exception,
    sentence: str,
) -> None:
    with pytest.raises(OperatorError, match=sentence):
        async with opened(from_environment({}), monkeypatch):
            raise failure


async def test_offsets_that_the_broker_does_not_tell_are_one_sentence() -> None:
    class Admin:
        async def list_topics(self) -> list[str]:
            raise NotLeaderForPartitionError

        async def close(self) -> None:
            """It ends."""

    offsets = GroupOffsets(from_environment({}))
    await offsets.__aexit__()
    offsets._admin = Admin()

    with pytest.raises(OperatorError, match="NotLeaderForPartitionError"):
        await offsets.ends(["progress.commands"])
    with pytest.raises(OperatorError, match="NotLeaderForPartitionError"):
        await offsets.behind("progress")


async def test_a_certificate_that_cannot_be_saved_is_one_sentence(tmp_path: Path) -> None:
    class Cursor:
        async def to_list(self, _: int | None) -> list[dict[str, Any]]:
            return [{"n": 0, "data": b"%PDF-"}]

    class Collection:
        async def find_one(self, _: object) -> dict[str, str]:
            return {"fileId": "f", "userId": "maya"}

        def find(self, _: object) -> Cursor:
            return Cursor()

    class Stored:
        @asynccontextmanager
        async def database(self) -> AsyncIterator[dict[str, Collection]]:
            yield {"certificates": Collection(), "fs.chunks": Collection()}

    (tmp_path / "a-file").touch()

    with pytest.raises(OperatorError, match=r"the certificate cannot be written to .*a-file/certificate-maya"):
        await save_one_pdf(Stored(), tmp_path / "a-file", courses=["c"])  # type: ignore[arg-type]


def test_a_path_is_printed_as_it_is_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/data/[/prod]/:smile:/[bold]" + "x" * 200

    say(console())(path)

    assert capsys.readouterr().err == path + "\n"


@pytest.mark.parametrize("token", ["bad\udcff", "two\nlines", "ünlikely"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    with pytest.raises(OperatorError, match="the token is no token"):
        command_headers(LessonComplete, token, command_id="c")
