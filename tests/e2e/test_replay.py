"""Real learners through whole systems: the exact figures, whatever is killed, and a verdict that can say no."""

import asyncio
import json
import os
import secrets
import signal
from pathlib import Path

import pytest

from ops.platform.counting import expected_figures
from ops.platform.oulad import read_oulad
from shared.contracts.ids import progress_id
from tests.support.command_line import lesson_progress, running
from tests.support.oulad import OULAD, SMALLEST, write_school
from tests.support.programs import programs_in
from tests.support.system import System


async def test_a_replay_of_a_course_ends_in_the_files_figures_and_reports_them(tmp_path: Path) -> None:
    expected, report = expected_figures(OULAD, SMALLEST), tmp_path / "report.json"

    ended = await lesson_progress(
        None, "replay", str(OULAD), "--course", SMALLEST, "--copies", "1", "--report", str(report)
    )

    assert ended.code == 0, ended.err
    assert "Everything is as the files say." in ended.out
    found = json.loads(report.read_text())
    assert (found["completions"], found["certificates"]) == (expected.completions, expected.certificates)
    assert (found["partial"], found["zero"]) == (expected.partial, expected.zero)
    assert (found["drift"], found["dead_letters"], found["problems"]) == (0, 0, [])
    assert found["readable_pdfs"] == expected.certificates
    assert found["replies"] == {"lesson.marked.v1": expected.completions}
    for stage in ("recorded", "progressed", "certificate"):
        p50, p95, p99 = (found["propagation_seconds"][stage][p] for p in ("p50", "p95", "p99"))
        assert 0 < p50 <= p95 <= p99


@pytest.fixture
def school(tmp_path: Path) -> Path:
    """Three learners in a course of two lessons: one finishes, one is halfway, one has not begun."""
    number = secrets.randbelow(10**9)
    first, second = f"{number}1", f"{number}2"
    learners = [f"{number}{n}" for n in (1, 2, 3)]
    completed = [(first, learners[0], 1), (first, learners[1], 1), (second, learners[0], 2)]
    return write_school(
        tmp_path / "school", course=f"Z{number}", lessons=[first, second], learners=learners, completed=completed
    )


async def test_a_replay_beside_other_learners_is_right_twice_and_says_no_once_a_record_is_wrong(
    system: System, school: Path, tmp_path: Path
) -> None:
    course = await system.campus.course(1)
    other = await system.campus.learner(course)
    await system.gateway.complete(other.user_id, course.lessons[0])
    await system.gateway.wait_for("notification.created", lambda seen: other.user_id in str(seen.data))
    report = tmp_path / "report.json"
    arguments = ("replay", str(school), "--stack", "external", "--report", str(report))

    right = await lesson_progress(system, *arguments, "--rounds", "2", "--seed", "1")

    assert right.code == 0, right.err
    found = json.loads(report.read_text())
    assert found["notifications"] == {"course_completed": 1, "certificate_ready": 1}
    assert [(turn["changed"], turn["problems"]) for turn in found["rounds"]] == [(False, []), (False, [])]

    data = read_oulad(school)
    idle, lesson = data.platform.enrollments[2], data.completions[0].lesson_id
    stray = {
        "_id": progress_id(idle.user_id, lesson), "userId": idle.user_id, "lessonId": lesson,
        "courseId": idle.course_id, "enrollmentId": idle.id, "completedAt": 1,
    }  # fmt: skip
    await system.campus.db["lessonProgress"].insert_one(stray)
    try:
        wrong = await lesson_progress(system, *arguments, "--copies", "1")
    finally:
        await system.campus.db["lessonProgress"].delete_one({"_id": stray["_id"]})

    assert wrong.code == 1
    assert "the figures differ from the files: completions: 4, expected 3" in wrong.err
    found = json.loads(report.read_text())
    assert found["problems"][0] == "completions: 4, expected 3"
    assert found["drift"] > 0


async def test_ctrl_c_in_a_replay_on_a_system_that_stays_says_what_becomes_of_the_commands(
    system: System, school: Path
) -> None:
    arguments = ("replay", str(school), "--stack", "external", "--rate", "0.1")
    async with running(*arguments, environment=dict(system.stack.environment)) as process:
        await _line_of(process, "round 1")

        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 130
    sentence = "lesson-progress: interrupted; a command that was sent stays in its topic and will be handled"
    assert err.decode().splitlines()[-1] == sentence


async def test_a_service_that_crashes_ends_the_replay_at_once_with_the_path_of_its_log(tmp_path: Path) -> None:
    stack = tmp_path / "stack"
    arguments = ("--course", SMALLEST, "--rate", "5", "--directory", str(stack))
    async with running("replay", str(OULAD), *arguments, environment={}) as process:
        await _line_of(process, "round 1")

        _crash(stack, "services.recalculator")
        _, err = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 1
    assert "lesson-progress: recalculator ended by itself (SIGKILL)" in err.decode()
    assert f"{stack}/logs/recalculator.log" in err.decode()
    assert (stack / "logs" / "recalculator.log").read_text()


async def _line_of(process: asyncio.subprocess.Process, word: str) -> None:
    """Wait until the command says a line with this word."""
    assert process.stderr is not None
    async with asyncio.timeout(90):
        while word not in (line := (await process.stderr.readline()).decode()):
            assert line, "it ended before"


def _crash(stack: Path, module: str) -> None:
    """Kill a program of a stack behind its back."""
    [number] = [pid for pid, command in programs_in(stack).items() if command.endswith(module)]
    os.kill(number, signal.SIGKILL)
