"""One lane as a process: takes rows from its input, line by line, and says on its output what became of each.

When there is nothing more to do the checker looks at everything that the lane's rows have left behind. A lane on which
a row failed is not used again: the checker looks at once, and the process ends; the next row finds a new lane.
"""

import asyncio
import logging
import signal
import sys
import time
from pathlib import Path

import uvloop

from tests.faults.proxy.link import Record
from tests.faults.rows.checker import checked
from tests.faults.rows.evidence import keep
from tests.faults.rows.lane import Lane
from tests.faults.rows.run import Run
from tests.faults.rows.table import ROWS
from tests.faults.rows.verdicts import Result, Task, Verdict

#: How long a row may take before it counts as hung; one that waits has longer (s).
_PATIENCE, _LONG_PATIENCE = 420.0, 1_500.0


class _Clients(logging.Handler):
    """What our own clients complain of during an outage belongs to the record of the links, and not on the screen."""

    def __init__(self) -> None:
        super().__init__()
        self.record = Record()

    def emit(self, record: logging.LogRecord) -> None:
        self.record.note(f"this process: {record.getMessage()}")


async def work(number: int, failures: Path) -> None:
    """Run what comes in until a row fails or the input ends, then say what the checker finds."""
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    clients = _Clients()
    logging.basicConfig(handlers=[clients], level=logging.WARNING, force=True)
    async with Lane.started() as lane:
        clients.record = lane.record
        settled = True
        while settled and (line := await lines.readline()):
            result = await _run(lane, Task.read(line.decode()), failures)
            _tell(result)
            settled = result.verdict is Verdict.PASSED
        _tell(await checked(lane, number, failures, settled=settled))


async def _run(lane: Lane, task: Task, failures: Path) -> Result:
    [row] = [row for row in ROWS if row.number == task.row]
    began = time.monotonic()
    lane.record.note(f"row {task.row}, seed {task.seed}")
    try:
        async with asyncio.timeout(_LONG_PATIENCE if row.waits else _PATIENCE), lane.system.stack.watched():
            await row.fault(Run(lane, task.row, task.seed, task.quick))
            await lane.heal()
    except Exception as failure:  # noqa: BLE001 - whatever it was, it is the row's verdict
        seconds = time.monotonic() - began
        folder = failures / f"row-{task.row}-seed-{task.seed}"
        await keep(lane, folder, failure)
        return Result(task.row, task.seed, Verdict.FAILED, seconds, _sentence(failure), str(folder))
    seconds = time.monotonic() - began
    lane.record.lines.clear()
    return Result(task.row, task.seed, Verdict.PASSED, seconds)


def _sentence(failure: Exception) -> str:
    said = str(failure).strip() or type(failure).__name__
    return said.splitlines()[0][:300]


def _tell(result: Result) -> None:
    sys.stdout.buffer.write(result.line())
    sys.stdout.buffer.flush()


async def _main(number: int, failures: Path) -> None:
    task = asyncio.current_task()
    assert task is not None
    for ending in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(ending, task.cancel)
    await work(number, failures)


if __name__ == "__main__":
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_main(int(sys.argv[1]), Path(sys.argv[2])))
    except asyncio.CancelledError:
        sys.exit(130)
