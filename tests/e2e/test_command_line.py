"""`lesson-progress`, as an operator types it, on a system that runs."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.campus import Campus
from tests.support.eventually import eventually
from tests.support.gateway import Gateway
from tests.support.system import System

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def _start(
    *arguments: str, environment: dict[str, str], folder: Path | None = None
) -> asyncio.subprocess.Process:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LESSON_PROGRESS_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from ops.cli import main; main()", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=clean | environment, cwd=folder,
    )  # fmt: skip


async def lesson_progress(system: System | None, *arguments: str, **environment: str) -> Ended:
    """Run the command to its end; no traceback, ever."""
    settings = dict(system.stack.environment) if system is not None else {}
    process = await _start(*arguments, environment=settings | environment)
    out, err = await asyncio.wait_for(process.communicate(), 120)
    ended = Ended(process.returncode or 0, out.decode(), err.decode())
    assert "Traceback" not in ended.err + ended.out
    return ended


async def test_complete_sends_one_command_and_shows_the_reply(campus: Campus, system: System) -> None:
    course = await campus.course(2)
    learner = await campus.learner(course)

    shown = await lesson_progress(system, "complete", course.lessons[0], "--user", learner.user_id)
    printed = await lesson_progress(system, "complete", course.lessons[1], "--user", learner.user_id, "--json")
    refused = await lesson_progress(system, "complete", "no-such-lesson", "--user", learner.user_id)

    assert shown.code == 0
    assert "lesson.marked.v1" in shown.out
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

    assert {t["name"] for t in shown.json} >= {"progress.commands", "progress.deadletters"}
    assert created.json == ["progress.replies.cli-gateway"]
    assert again.json == []
    assert bad.code == 1
    assert "no name for a reply topic" in bad.err


async def test_recalculate_and_audit_repair_what_somebody_broke(
    gateway: Gateway, campus: Campus, system: System
) -> None:
    course = await campus.course(4)
    broken, other = await campus.learner(course), await campus.learner(course)
    for learner in (broken, other):
        await gateway.complete(learner.user_id, course.lessons[0])
        await gateway.progressed(learner.enrollment_id, completed=1)
    for learner in (broken, other):
        await campus.db["enrollments"].update_one({"_id": learner.enrollment_id}, {"$set": {"progressPercent": 1.5}})

    one = await lesson_progress(system, "recalculate", broken.enrollment_id, "--json")
    found = await lesson_progress(system, "audit", "--json")
    repaired = await lesson_progress(system, "audit", "--repair", "--json")

    assert one.json["data"]["progressPercent"] == 25
    assert found.code == 1
    assert "audit --repair" in found.err
    assert other.enrollment_id in {d["enrollmentId"] for d in found.json}
    assert broken.enrollment_id not in {d["enrollmentId"] for d in found.json}
    assert repaired.code == 0

    async def mended() -> bool:
        return bool((await campus.enrollment(other))["progressPercent"] == 25)

    await eventually(mended, within=60)


async def test_certificates_regenerate_answers_with_the_same_id(
    gateway: Gateway, campus: Campus, system: System
) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)
    await gateway.complete(learner.user_id, course.lessons[0])
    certificate = await gateway.certificate(learner.enrollment_id)

    ended = await lesson_progress(system, "certificates", "regenerate", learner.enrollment_id, "--json")
    unsure = await lesson_progress(system, "certificates", "revoke", learner.enrollment_id)

    assert ended.json["data"] == {"certificateId": certificate["certificateId"], "status": "issued"}
    assert unsure.code == 1
    assert "--yes" in unsure.err


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
    ],
)
async def test_what_goes_wrong_is_one_clear_sentence(
    system: System, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    away = {
        "LESSON_PROGRESS_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "LESSON_PROGRESS_MONGO__URI": "mongodb://127.0.0.1:9/?directConnection=true",
        "LESSON_PROGRESS_MONGO__TIMEOUT_MS": "300",
    }
    ended = await lesson_progress(system, *arguments, **away)

    assert ended.code != 0
    assert sentence in ended.err


async def test_up_starts_a_system_that_other_commands_find_and_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    up = await _start("up", "--directory", str(tmp_path / "stack"), environment={}, folder=tmp_path)
    try:
        running = tmp_path / ".lesson-progress" / "running.json"
        await eventually(lambda: running.exists() or up.returncode is not None, within=120)
        assert running.exists()
        assert oct(running.stat().st_mode & 0o777) == "0o600"
        process = await _start("topics", "show", "--json", environment={}, folder=tmp_path)
        await process.communicate()
        token = await _start("token", "someone", environment={}, folder=tmp_path)
        out, _ = await token.communicate()
        assert out.count(b".") == 2
    finally:
        up.send_signal(signal.SIGINT)
        await asyncio.wait_for(up.communicate(), 60)
    assert not running.exists()


async def test_up_ends_everything_when_it_is_killed(tmp_path: Path) -> None:
    up = await _start("up", "--directory", str(tmp_path / "stack"), environment={}, folder=tmp_path)
    running = tmp_path / ".lesson-progress" / "running.json"
    await eventually(lambda: running.exists() or up.returncode is not None, within=120)
    port = json.loads(running.read_text())["LESSON_PROGRESS_PROGRESS__HTTP__PORT"]

    up.kill()
    await up.communicate()

    async def gone() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", int(port))
        except OSError:
            return True
        writer.close()
        return False

    await eventually(gone, within=60)
