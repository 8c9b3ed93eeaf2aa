"""Ending tasks: in their own time, and when that is over, in ours."""

import asyncio
from contextlib import suppress

import structlog

_log = structlog.get_logger()

#: How often what takes too long is cancelled (it may hang once more in each part that it closes), and how far apart.
CUTS = 8
CUT_SECONDS = 0.1


async def cancelled(task: asyncio.Future[None]) -> None:
    """Cancel a task and wait until it has ended; raises what it ends with, unless that is the cancellation."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def end(task: asyncio.Task[None], *, by: float) -> None:
    """Wait for a task's end until `by` (the loop's clock, seconds), then cancel it as often as it hangs once more.

    One that takes no notice is left behind: nothing is lost by it, what was not committed comes again. Raises what the
    task ends with, unless that is the cancellation.
    """
    await asyncio.wait({task}, timeout=max(0.0, by - asyncio.get_running_loop().time()))
    if not task.done():
        _log.warning("service.cut_short")
    for _ in range(CUTS):
        if task.done():
            break
        task.cancel()
        await asyncio.wait({task}, timeout=CUT_SECONDS)
    if task.done() and not task.cancelled():
        task.result()
