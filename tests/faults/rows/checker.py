"""The last word on a lane: `lesson-progress verify` reads all that its rows have left behind, as an operator would."""

import asyncio
import os
import sys
import time
from asyncio import subprocess
from pathlib import Path

from tests.faults.rows.evidence import keep
from tests.faults.rows.lane import Lane
from tests.faults.rows.verdicts import CHECKER, Result, Verdict

_COMMAND = (sys.executable, "-c", "from ops.cli import main; main()", "verify", "--settled", "--json")
_PATIENCE = 180.0


async def checked(lane: Lane, number: int, failures: Path) -> Result:
    """What the checker finds on this lane, whose rows are all settled; what it says is kept where it finds defects."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(_PATIENCE):
            code, out, err = await _verify(lane)
        assert code == 0, err.strip().rpartition("\n")[2]
    except (AssertionError, TimeoutError) as failure:
        folder = failures / f"checker-of-lane-{number}"
        await keep(lane, folder, failure)
        if isinstance(failure, AssertionError):
            _write(folder / "verify.json", out)
        what = str(failure) or f"no verdict within {_PATIENCE:.0f} s"
        return Result(CHECKER, number, Verdict.FAILED, time.monotonic() - began, what[:300], str(folder))
    return Result(CHECKER, number, Verdict.PASSED, time.monotonic() - began)


async def _verify(lane: Lane) -> tuple[int, str, str]:
    process = await subprocess.create_subprocess_exec(
        *_COMMAND,
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
