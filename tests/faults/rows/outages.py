"""The broker or the database away: killed and started again, frozen, or cut off."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ops.stacks import SERVICES
from tests.faults.rows.run import Run

#: Seconds that a part is away; in the quick run.
LONG, SHORT = 600.0, 12.0
MODES = ("killed", "frozen", "cut off")


@asynccontextmanager
async def away(run: Run, part: str, mode: str) -> AsyncIterator[None]:
    """The broker or the database is away from every service during the block, and answers after it; traps stay."""
    run.lane.record.note(f"the {part} is {mode}")
    links = [getattr(run.lane.links(service), part) for service in SERVICES]
    match mode:
        case "killed":
            run.lane.kill_part(part)
        case "frozen":
            run.lane.system.stack.signal(part, signal.SIGSTOP)
        case _:
            for link in links:
                link.cut()
    try:
        yield
    finally:
        if mode == "frozen":
            run.lane.system.stack.signal(part, signal.SIGCONT)
    if mode == "killed":
        await run.lane.start_part(part)
    for link in links:
        link.join()
    run.lane.record.note(f"the {part} is there again")


async def wait_out(run: Run) -> None:
    """The ten minutes of an outage, or the few seconds of a quick one."""
    await asyncio.sleep(SHORT if run.quick else LONG)
