"""`lesson-progress`, as an operator types it, on a system that runs."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.campus import Campus
from tests.support.command_line import Ended, lesson_progress, running
from tests.support.eventually import eventually
from tests.support.gateway import Gateway
from tests.support.programs import programs_in
from tests.support.system import System

EXAMPLES = Path(__file__).parents[2] / "examples"


async def test_complete_sends_one_command_and_shows_the_reply(gateway: Gateway, campus: Campus, system: System) -> None:
    course = await campus.course(2)
    learner = await campus.learner(course)

    shown = await lesson_progress(system, "complete", course.lessons[0], "--user", learner.user_id)
    printed = await lesson_progress(system, "complete", course.lessons[1], "--user", learner.user_id, "--json")
    refused = await lesson_progress(system, "complete", "no-such-lesson", "--user", learner.user_id)
    token = gateway.token(learner.user_id)
    owned = await lesson_progress(system, "complete", course.lessons[0], "--token", token, "--json")

    assert shown.code == 0
    assert "lesson.marked.v1" in shown.out
    assert owned.json["data"]["alreadyCompleted"] is True
    assert owned.json["data"]["enrollmentId"] == learner.enrollment_id
    assert printed.json["data"]["lessonId"] == course.lessons[1]
    assert refused.code == 1
    assert "refused: 404 Lesson not found" in refused.err


async def test_token_prints_a_token_that_the_system_believes(gateway: Gateway, campus: Campus, system: System) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)

    printed = await lesson_progress(system, "token", learner.user_id)

    answer = await gateway.http.get(
        system.stack.http_url("progress") + f"/v1/courses/{course.id}/progress",
        headers={"authorization": f"Bearer {printed.out.strip()}"},
    )
    assert answer.json()["total"] == 1


async def test_topics_are_shown_created_and_checked(system: System) -> None:
    shown = await lesson_progress(system, "topics", "show", "--json")
    created = await lesson_progress(system, "topics", "create", "--reply", "cli-gateway", "--json")
    again = await lesson_progress(system, "topics", "create", "--reply", "cli-gateway", "--json")
    bad = await lesson_progress(system, "topics", "create", "--reply", "no/slash")
    checked = await lesson_progress(system, "topics", "diff", "--json")

    assert {t["name"] for t in shown.json} >= {"progress.commands", "progress.deadletters"}
    assert created.json == ["progress.replies.cli-gateway"]
    assert again.json == []
    assert bad.code == 1
    assert "no name for a reply topic" in bad.err
    assert (checked.code, checked.json) == (0, [])


async def test_recalculate_of_a_course_mends_every_enrollment_of_it(
    gateway: Gateway, campus: Campus, system: System
) -> None:
    course = await campus.course(4)
    learners = [await campus.learner(course), await campus.learner(course)]
    for learner in learners:
        await gateway.complete(learner.user_id, course.lessons[0])
        await gateway.progressed(learner.enrollment_id, completed=1)
        await campus.db["enrollments"].update_one({"_id": learner.enrollment_id}, {"$set": {"progressPercent": 1.5}})

    asked = await lesson_progress(system, "recalculate", "--course", course.id, "--json")

    assert (asked.code, asked.json) == (0, {"requested": course.id})

    async def mended() -> bool:
        return all([(await campus.enrollment(learner))["progressPercent"] == 25 for learner in learners])

    await eventually(mended, within=60)


async def test_certificates_are_made_again_with_the_same_id_and_revoked_only_when_it_is_meant(
    gateway: Gateway, campus: Campus, system: System
) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)
    await gateway.complete(learner.user_id, course.lessons[0])
    certificate = await gateway.certificate(learner.enrollment_id)

    ended = await lesson_progress(system, "certificates", "regenerate", learner.enrollment_id, "--json")
    unsure = await lesson_progress(system, "certificates", "revoke", learner.enrollment_id)
    kept = await gateway.get("certificates", f"/v1/certificates/{certificate['certificateId']}")
    sure = await lesson_progress(
        system, "certificates", "revoke", learner.enrollment_id, "--yes", "--reason", "a mistake", "--json"
    )
    revoked = await gateway.get("certificates", f"/v1/certificates/{certificate['certificateId']}")

    assert ended.json["data"] == {"certificateId": certificate["certificateId"], "status": "issued"}
    assert unsure.code == 0
    assert "--yes" in unsure.out
    assert kept.json()["status"] == "issued"
    assert sure.code == 0
    assert revoked.json()["status"] == "revoked"


async def test_import_writes_what_is_whole_and_refuses_what_is_broken_with_file_line_and_field(
    campus: Campus, system: System, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for source in (EXAMPLES / "platform").glob("*.jsonl"):
        (broken / source.name).write_text(source.read_text())
    with (broken / "lessons.jsonl").open("a") as lessons:
        lessons.write('{"_id": "broken-lesson", "moduleId": 7, "title": "x", "order": 1}\n')
    line = len((broken / "lessons.jsonl").read_text().splitlines())

    refused = await lesson_progress(system, "import", str(broken))
    planned = await lesson_progress(system, "import", str(EXAMPLES / "platform"), "--dry-run", "--json")
    written = await lesson_progress(system, "import", str(EXAMPLES / "platform"), "--json")
    again = await lesson_progress(system, "import", str(EXAMPLES / "platform"), "--json")

    assert refused.code == 1
    assert f"lessons.jsonl, line {line}, moduleId:" in refused.err
    assert planned.json["dryRun"] is True
    assert written.json["collections"] == planned.json["collections"]
    assert written.json["collections"]["courses"]["inserted"] > 0
    assert again.json["collections"]["courses"]["inserted"] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("complete", "lesson", "--user", "u"), "no broker answers"),
        (("audit",), "the database does not answer"),
        (("import", "no-such-folder"), "no-such-folder"),
        (("replay", "no-such-folder"), "no-such-folder"),
        (("recalculate",), "--course"),
        (("topics", "diff"), "no broker answers"),
        (("replay", str(EXAMPLES / "oulad"), "--stack", "external"), "the database does not answer"),
    ],
)
async def test_what_goes_wrong_is_one_clear_sentence(system: System, arguments: tuple[str, ...], sentence: str) -> None:
    away = {
        "LESSON_PROGRESS_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "LESSON_PROGRESS_MONGO__URI": "mongodb://127.0.0.1:9/?directConnection=true",
        "LESSON_PROGRESS_MONGO__TIMEOUT_MS": "300",
    }
    ended = await lesson_progress(system, *arguments, environment=away)

    assert ended.code != 0
    assert sentence in ended.err


@asynccontextmanager
async def running_up(folder: Path, *arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, str]]]:
    """`up` in this folder with its stack in `stack`, once it is up, and what it noted; it ends with the block."""
    command = ("up", "--directory", str(folder / "stack"), *arguments)
    async with running(*command, environment={}, folder=folder) as up:
        note = folder / ".lesson-progress" / "running.json"
        await eventually(lambda: note.exists() or up.returncode is not None, within=120)
        assert note.exists()
        yield up, json.loads(note.read_text())


async def in_folder(folder: Path, *arguments: str) -> Ended:
    """Run the command in this folder, with nothing in the environment."""
    async with running(*arguments, environment={}, folder=folder) as process:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert b"Traceback" not in err
    return Ended(process.returncode or 0, out.decode(), err.decode())


def all_gone(noted: dict[str, str], folder: Path) -> Callable[[], Awaitable[bool]]:
    """Asks whether nothing listens any more where the system was, and no program of it is left."""
    ports = [int(value) for name, value in noted.items() if name.endswith("__HTTP__PORT")]
    ports.append(int(noted["LESSON_PROGRESS_KAFKA__BOOTSTRAP_SERVERS"].rpartition(":")[2]))

    async def gone() -> bool:
        return not any([await _listens(port) for port in ports]) and not programs_in(folder / "stack")

    return gone


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_up_starts_a_system_that_other_commands_find_and_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    async with running_up(tmp_path, "--import", str(EXAMPLES / "platform")) as (up, noted):
        note = tmp_path / ".lesson-progress" / "running.json"
        assert oct(note.stat().st_mode & 0o777) == "0o600"
        assert programs_in(tmp_path / "stack")

        token = await in_folder(tmp_path, "token", "someone")
        marked = await in_folder(tmp_path, "complete", "bread-basics-1", "--user", "learner-maya", "--json")
        second = await in_folder(tmp_path, "up")

        assert token.out.count(".") == 2
        assert marked.json["type"] == "lesson.marked.v1"
        assert second.code == 1
        assert "runs in this folder" in second.err
        assert json.loads(note.read_text()) == noted

        up.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(up.communicate(), 60)

        assert up.returncode == 0
        assert b"Traceback" not in err
        assert not note.exists()
        await eventually(all_gone(noted, tmp_path), within=1)


async def test_up_ends_everything_when_it_is_killed_and_what_it_noted_counts_for_nothing(tmp_path: Path) -> None:
    async with running_up(tmp_path) as (up, noted):
        up.kill()
        await up.communicate()

        await eventually(all_gone(noted, tmp_path), within=60)
        assert (tmp_path / ".lesson-progress" / "running.json").exists()
        assert "no development key" in (await in_folder(tmp_path, "token", "someone")).err


async def test_ctrl_c_while_a_system_starts_ends_what_was_started_and_says_so(tmp_path: Path) -> None:
    async with running("up", "--directory", str(tmp_path / "stack"), environment={}, folder=tmp_path) as up:
        assert up.stderr is not None
        await asyncio.wait_for(up.stderr.readline(), 60)  # the first part answers

        up.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(up.communicate(), 60)

    assert up.returncode == 130
    assert err.decode().splitlines()[-1] == "lesson-progress: interrupted; what had been started is ended"
    assert b"Traceback" not in err
    assert not programs_in(tmp_path / "stack")
