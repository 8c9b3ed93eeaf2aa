"""The command `lesson-progress`, as an operator types it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.system import System


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def _started(
    *arguments: str, environment: dict[str, str], folder: Path | None = None
) -> asyncio.subprocess.Process:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LESSON_PROGRESS_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from ops.cli import main; main()", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=clean | environment, cwd=folder,
    )  # fmt: skip


@asynccontextmanager
async def running(
    *arguments: str, environment: dict[str, str], folder: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command while it runs; whatever happens in the block, it has ended after it."""
    process = await _started(*arguments, environment=environment, folder=folder)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def lesson_progress(
    system: System | None, *arguments: str, seconds: float = 120, environment: Mapping[str, str] | None = None
) -> Ended:
    """Run the command to its end; no traceback, ever."""
    settings = dict(system.stack.environment) if system is not None else {}
    async with running(*arguments, environment=settings | dict(environment or {})) as process:
        out, err = await asyncio.wait_for(process.communicate(), seconds)
    ended = Ended(process.returncode or 0, out.decode(), err.decode())
    assert "Traceback" not in ended.err + ended.out
    return ended
