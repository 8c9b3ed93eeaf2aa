"""Which processes run on this machine, by their command lines and by where they run."""

import asyncio
from asyncio import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


async def commands_with(word: str) -> list[str]:
    """The command lines that contain this word."""
    lines = [_command(process) for process in _processes()] or await _from_ps()
    return [line for line in lines if word in line]


def gone(word: str) -> Callable[[], Awaitable[bool]]:
    """Asks whether no process has this word in its command line."""

    async def none_left() -> bool:
        return not await commands_with(word)

    return none_left


def programs_in(directory: Path) -> dict[int, str]:
    """The processes that run in this directory or below, by id; nothing where the system does not tell (macOS)."""
    found: dict[int, str] = {}
    for process in _processes():
        with suppress(OSError):  # it has ended, or is somebody else's
            if (process / "cwd").readlink().is_relative_to(directory):
                found[int(process.name)] = _command(process)
    return found


def _processes() -> Iterator[Path]:
    return (entry for entry in _PROC.glob("[0-9]*") if entry.name.isdigit())


def _command(process: Path) -> str:
    """The command line with spaces between its words; empty for one that has ended."""
    try:
        return (process / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


async def _from_ps() -> list[str]:
    process = await asyncio.create_subprocess_exec("ps", "-A", "-ww", "-o", "command=", stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode(errors="replace").splitlines()
