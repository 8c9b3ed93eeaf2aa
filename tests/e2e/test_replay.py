"""Thousands of real learners through real parts: the exact figures, whatever is killed on the way."""

import io
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pypdf
import pytest
from rich.console import Console

from ops.platform.counting import expected_figures
from ops.platform.oulad import read_oulad
from ops.replay.plan import plan
from ops.replay.run import Result, import_dataset, replay
from ops.replay.watching import Watch
from ops.stacks import SERVICES, RunningStack, StackKind, start_stack
from ops.target import Target, from_environment
from tests.support.eventually import eventually

OULAD = Path(__file__).parents[2] / "examples" / "oulad"
pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]


@pytest.fixture
async def stack() -> AsyncIterator[RunningStack]:
    async with start_stack(StackKind.KAFKA) as running:
        yield running


async def _replay(target: Target, *, course: str | None = None, seed: int = 1, **options: Any) -> Result:
    data = read_oulad(OULAD, course)
    await import_dataset(target, data)
    commands = plan(data, copies=2, shuffled=True, seed=seed)
    console = Console(file=io.StringIO())
    return await replay(target, data, commands, expected_figures(OULAD, course), rate=None, console=console, **options)


def _text(pdf: bytes) -> str:
    return pypdf.PdfReader(io.BytesIO(pdf)).pages[0].extract_text()


async def test_36184_completions_twice_in_random_order_end_in_the_exact_figures_and_a_second_replay_changes_nothing(
    stack: RunningStack,
) -> None:
    target = from_environment(stack.environment)

    first = await _replay(target, seed=1)

    assert first.problems == []
    assert (first.figures.completions, first.figures.certificates) == (36_184, 10_322)
    assert (first.figures.partial, first.figures.zero) == (1_508, 659)
    assert (first.drift, first.dead_letters) == (0, 0)
    assert first.watch.replies == {"lesson.marked.v1": 72_368}
    await _every_pdf_names_its_certificate(target)

    second = await _replay(target, seed=2)

    assert second.problems == []
    assert second.figures.fingerprint == first.figures.fingerprint


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


async def test_kill_9_of_each_service_in_mid_replay_changes_no_figure(stack: RunningStack) -> None:
    target = from_environment(stack.environment)
    commands = 72_368

    async def kill_each(watch: Watch) -> None:
        for turn, victim in enumerate(SERVICES, start=1):
            due = turn * commands // 5
            await eventually(lambda: watch.answered > due, within=300)  # noqa: B023 - awaited before the next turn
            stack.kill_service(victim)
            await stack.start_service(victim)

    result = await _replay(target, beside=kill_each)

    assert result.problems == []
    assert (result.figures.completions, result.figures.certificates) == (36_184, 10_322)
    assert (result.figures.partial, result.figures.zero) == (1_508, 659)
    assert (result.drift, result.dead_letters) == (0, 0)
