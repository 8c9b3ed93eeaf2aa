"""The last word on a lane: `lesson-progress verify` reads all that its rows have left behind, as an operator would."""

import asyncio
import json
import os
import sys
import time
from asyncio import subprocess
from contextlib import suppress
from pathlib import Path

from tests.faults.rows.evidence import keep
from tests.faults.rows.lane import Lane
from tests.faults.rows.verdicts import CHECKER, Result, Verdict

_COMMAND = (sys.executable, "-c", "from ops.cli import main; main()", "verify", "--json")
_PATIENCE, _HEALING = 180.0, 60.0


async def checked(lane: Lane, number: int, failures: Path, *, settled: bool = True) -> Result:
    """What the checker finds on this lane; what it says is kept where it finds defects, or cannot read everything.

    A lane that is not `settled` is one on which a row has failed: what is still on its way there is no defect.
    """
    began = time.monotonic()
    out, folder = "", failures / f"checker-of-lane-{number}"
    try:
        if not settled:
            await _healed(lane)
        async with asyncio.timeout(_PATIENCE):
            code, out, err = await _verify(lane, *(["--settled"] if settled else []))
        assert code == 0, err.strip().rpartition("\n")[2]
    except (AssertionError, TimeoutError) as failure:
        await keep(lane, folder, failure)
        _write(folder / "verify.json", out)
        what = str(failure) or f"no verdict within {_PATIENCE:.0f} s"
        return Result(CHECKER, number, verdict_of(out), time.monotonic() - began, what[:300], str(folder))
    return Result(CHECKER, number, Verdict.PASSED, time.monotonic() - began)


def verdict_of(said: str) -> Verdict:
    """What a checker's report means that ended with an error: defects, or that not everything could be read."""
    try:
        return Verdict.UNREAD if json.loads(said)["healthy"] else Verdict.FAILED
    except (ValueError, KeyError):
        return Verdict.UNREAD


async def _healed(lane: Lane) -> None:
    """Start what the failed row has left stopped, as far as that can be done: the checker says what it cannot read."""
    with suppress(Exception):
        async with asyncio.timeout(_HEALING):
            await lane.heal()


async def _verify(lane: Lane, *options: str) -> tuple[int, str, str]:
    process = await subprocess.create_subprocess_exec(
        *_COMMAND,
        *options,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **lane.system.stack.environment},
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, out.decode(), err.decode()


def _write(file: Path, text: str) -> None:
    file.write_text(text)
