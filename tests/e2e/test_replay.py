"""Real learners through whole systems: the exact figures, whatever is killed, and a verdict that can say no."""

import asyncio
import io
import json
import os
import secrets
import signal
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pypdf
import pytest
from rich.console import Console

from ops.importing import import_platform
from ops.platform.counting import expected_figures
from ops.platform.oulad import read_oulad
from ops.replay.plan import plan
from ops.replay.run import replay
from ops.replay.verdict import Result
from ops.replay.watching import Watch
from ops.stacks import SERVICES, StackKind, start_stack
from ops.target import Target, from_environment
from shared.contracts.ids import progress_id
from tests.e2e.test_command_line import lesson_progress, running
from tests.integration.stacks.processes import programs_in
from tests.support.eventually import eventually
from tests.support.system import System

OULAD = Path(__file__).parents[2] / "examples" / "oulad"
#: The course with the fewest completions.
SMALLEST = "AAA-2014J"


async def test_a_replay_of_a_course_ends_in_the_files_figures_and_reports_them(tmp_path: Path) -> None:
    expected, report = expected_figures(OULAD, SMALLEST), tmp_path / "report.json"

    ended = await lesson_progress(
        None, "replay", str(OULAD), "--course", SMALLEST, "--copies", "1", "--report", str(report)
    )

    assert ended.code == 0, ended.err
    assert "Everything is as the files say." in ended.err
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
    number, folder = secrets.randbelow(10**9), tmp_path / "school"
    folder.mkdir()
    tables = {
        "courses.csv": ["code_module,code_presentation,module_presentation_length", f"Z{number},2013J,268"],
        "assessments.csv": [
            "code_module,code_presentation,id_assessment,assessment_type,date,weight",
            *(f"Z{number},2013J,{number}{n},TMA,{10 * n},50" for n in (1, 2)),
        ],
        "studentRegistration.csv": [
            "code_module,code_presentation,id_student,date_registration,date_unregistration",
            *(f"Z{number},2013J,{number}{n},-10," for n in (1, 2, 3)),
        ],
        "studentAssessment.csv": [
            "id_assessment,id_student,date_submitted,is_banked,score",
            *(f"{number}{lesson},{number}{n},{lesson},0,70" for n, lesson in ((1, 1), (1, 2), (2, 1))),
        ],
    }
    for name, lines in tables.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


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


@pytest.mark.real
@pytest.mark.xdist_group("replays")
@pytest.mark.timeout(900)
async def test_kill_9_of_each_service_in_mid_replay_changes_no_figure_and_a_second_replay_changes_nothing(
    tmp_path: Path,
) -> None:
    stack, report = tmp_path / "stack", tmp_path / "report.json"

    result = await _replayed_while_each_service_is_killed(stack)

    assert result.problems == []
    assert (result.figures.completions, result.figures.certificates) == (36_184, 10_322)
    assert (result.figures.partial, result.figures.zero) == (1_508, 659)
    assert (result.drift, result.dead_letters) == (0, 0)

    arguments = ("--stack", "kafka", "--directory", str(stack), "--report", str(report))
    ended = await lesson_progress(None, "replay", str(OULAD), *arguments, seconds=800)

    assert ended.code == 0, ended.err
    found = json.loads(report.read_text())
    assert (found["completions"], found["certificates"]) == (36_184, 10_322)
    assert (found["distinct_certificate_ids"], found["readable_pdfs"]) == (10_322, 10_322)
    assert (found["partial"], found["zero"]) == (1_508, 659)
    assert (found["drift"], found["dead_letters"], found["problems"]) == (0, 0, [])
    assert found["replies"] == {"lesson.marked.v1": 72_368}
    assert found["fingerprint"] == result.figures.fingerprint
    async with start_stack(StackKind.KAFKA, directory=stack, services=(), provision=False) as kept:
        await _every_pdf_names_its_certificate(from_environment(kept.environment))


async def _replayed_while_each_service_is_killed(directory: Path) -> Result:
    """What a replay finds on a stack of its own whose services are killed without warning, one after the other."""
    data, console = read_oulad(OULAD), Console(file=io.StringIO())
    commands = plan(data, copies=2, shuffled=True, seed=1)
    async with start_stack(StackKind.KAFKA, directory=directory) as stack:
        target = from_environment(stack.environment)
        await import_platform(target, data.platform, console)

        async def kill_each(watch: Watch) -> None:
            for turn, victim in enumerate(SERVICES, start=1):
                due = turn * len(commands) // 5
                await eventually(lambda: watch.answered > due, within=300)  # noqa: B023 - awaited before the next turn
                stack.kill_service(victim)
                await stack.start_service(victim)

        return await replay(
            target,
            data,
            commands,
            expected_figures(OULAD),
            rate=None,
            console=console,
            beside=kill_each,
            ask_again=True,  # a killed service takes the replies with it that it had not sent yet
        )


async def _every_pdf_names_its_certificate(target: Target) -> None:
    async with target.database() as db:
        by_file = {
            c["fileId"]: c["_id"] async for c in db["certificates"].find({"status": "issued"}, {"_id": 1, "fileId": 1})
        }
        assert len(by_file) == len(set(by_file.values())) == 10_322
        chunks = {c["files_id"]: bytes(c["data"]) async for c in db["fs.chunks"].find({}, batch_size=200)}
    assert chunks.keys() == by_file.keys()
    # Every fifth page is read by another's reader; every file's frame was checked by the replay's own figures.
    sample = list(by_file)[::5]
    with ProcessPoolExecutor(2) as pool:
        texts = list(pool.map(_text, [chunks[f] for f in sample], chunksize=50))
    assert all(by_file[file_id] in text.replace("\n", "") for file_id, text in zip(sample, texts, strict=True))


def _text(pdf: bytes) -> str:
    return pypdf.PdfReader(io.BytesIO(pdf)).pages[0].extract_text()
