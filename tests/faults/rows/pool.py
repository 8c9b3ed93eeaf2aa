"""Lanes side by side: ordinary ones share the rows, those that wait have a few lanes of their own."""

import asyncio
import signal
import sys
from asyncio import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tests.faults.rows.verdicts import CHECKER, Result, Task, Verdict

#: Stacks start one after the other: a dozen at once would keep each other from answering (s).
STARTS_APART = 8.0
_LAST_SECONDS = 60.0
_LINE_BYTES = 1024 * 1024
_SPEECHLESS = "its checker had no word"


def lane_command(number: int, failures: Path) -> tuple[str, ...]:
    """The command that is one lane."""
    return sys.executable, "-m", "tests.faults.rows.worker", str(number), str(failures)


class Pool:
    """Runs tasks on lanes, and tells what begins and what became of each."""

    def __init__(self, failures: Path, *, begun: Callable[[Task], None], ended: Callable[[Result], None]) -> None:
        self._failures = failures
        self._begun = begun
        self._ended = ended
        self._number = 0

    async def run(self, groups: Sequence[tuple[Sequence[Task], int]]) -> None:
        """Run groups of tasks at the same time, each group on so many lanes of its own."""
        async with asyncio.TaskGroup() as lanes:
            started = 0
            for tasks, count in groups:
                waiting = deque(tasks)
                for _ in range(min(count, len(waiting))):
                    lanes.create_task(self._lane(waiting, delay=started * STARTS_APART))
                    started += 1

    async def _lane(self, waiting: deque[Task], *, delay: float) -> None:
        """One process after the other (more than one only where a row fails) until nothing waits."""
        await asyncio.sleep(delay)
        while waiting:
            number = self._next_number()
            process = await subprocess.create_subprocess_exec(
                *lane_command(number, self._failures),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                limit=_LINE_BYTES,
                start_new_session=True,  # Ctrl-C reaches it through us alone
            )
            try:
                await self._feed(process, number, waiting)
            finally:
                await _ended(process)

    async def _feed(self, process: subprocess.Process, number: int, waiting: deque[Task]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        passed = True
        while waiting and passed:
            task = waiting.popleft()
            self._begun(task)
            with suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(task.line())
                await process.stdin.drain()
            line = await process.stdout.readline()
            if not line:
                code = await process.wait()
                what = f"its lane ended by itself ({code})"
                self._ended(Result(task.row, task.seed, Verdict.FAILED, 0.0, what))
                self._ended(Result(CHECKER, number, Verdict.UNREAD, 0.0, what))
                return
            result = Result.read(line)
            self._ended(result)
            passed = result.verdict is Verdict.PASSED  # where it has failed, the lane takes nothing more
        process.stdin.close()
        line = await process.stdout.readline()  # the checker's
        checked = Result.read(line) if line else Result(CHECKER, number, Verdict.UNREAD, 0.0, _SPEECHLESS)
        how = await _failed_to_end(process)
        self._ended(_unclean(checked, how) if how else checked)

    def _next_number(self) -> int:
        self._number += 1
        return self._number


async def _failed_to_end(process: subprocess.Process) -> str:
    """Wait for a lane that has nothing more to do; answers what was wrong with its end, empty where nothing was."""
    try:
        async with asyncio.timeout(_LAST_SECONDS):
            code = await process.wait()
    except TimeoutError:
        return f"its lane did not end within {_LAST_SECONDS:.0f} s"
    return f"its lane ended with {code}" if code else ""


def _unclean(checked: Result, how: str) -> Result:
    """The checker's word on a lane that did not end well: no longer that all is well."""
    verdict = Verdict.FAILED if checked.verdict is Verdict.PASSED else checked.verdict
    return replace(checked, verdict=verdict, what="; ".join(filter(None, (checked.what, how))))


async def _ended(process: subprocess.Process) -> None:
    """Let a lane end its stack, also when this process is to end."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_LAST_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
