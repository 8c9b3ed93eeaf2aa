"""All real learners through a system whose services are killed, and once more through what is there then."""

import io
import json
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
from tests.support.command_line import lesson_progress
from tests.support.eventually import eventually
from tests.support.oulad import OULAD


@pytest.mark.real
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
