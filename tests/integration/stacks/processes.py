"""Which processes run on this machine, by their command lines."""

import asyncio
from asyncio import subprocess
from collections.abc import Awaitable, Callable


async def commands_with(word: str) -> list[str]:
    """The command lines that contain this word."""
    process = await asyncio.create_subprocess_exec("ps", "-A", "-ww", "-o", "command=", stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    return [line for line in output.decode(errors="replace").splitlines() if word in line]


def gone(word: str) -> Callable[[], Awaitable[bool]]:
    """Asks whether no process has this word in its command line."""

    async def none_left() -> bool:
        return not await commands_with(word)

    return none_left
