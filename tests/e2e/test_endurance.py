"""The trials of endurance in small: that they run on real parts, and that what they look for holds."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.oulad import SMALLEST

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]


async def trial(name: str, *options: str, report: Path) -> dict[str, Any]:
    """Run one trial; answers what it reports."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.endurance", name, *options, "--report", str(report),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(380):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode in {0, 1}, said.decode()  # how long something took is for people to judge
    found: dict[str, Any] = json.loads(await asyncio.to_thread(report.read_text))["benchmarks"][name]
    return found


async def test_a_small_replay_is_exact_though_something_is_killed_every_few_seconds(tmp_path: Path) -> None:
    course = ("--course", SMALLEST, "--minutes", "0.2", "--every", "3")

    found = await trial("chaos", *course, report=tmp_path / "report.json")

    assert found["problems"] == []
    figures = {figure["name"]: figure["value"] for figure in found["figures"]}
    assert figures["rounds"] >= 2
    assert figures["kills"] >= 1
    assert figures["drift"] == 0


async def test_each_bad_record_among_good_ones_is_one_dead_letter_and_every_good_one_is_recorded(
    tmp_path: Path,
) -> None:
    few = ("--good", "2000", "--bad", "200", "--pairs", "1")

    found = await trial("poison", *few, report=tmp_path / "report.json")

    assert found["problems"] == []
    assert [run["side"] for run in found["runs"]] == ["without", "with"]
