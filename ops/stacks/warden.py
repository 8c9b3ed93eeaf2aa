"""The warden: a small process that ends a stack's programs when the process that started them is gone.

It holds one end of a pipe. However the stack's process ends, by SIGKILL too, the pipe ends with it, and the warden
ends every process group it was told of. The file is run as a program by itself, with the standard library alone, so
that it is there at once.
"""

import json
import os
import shutil
import signal
import sys
import time
from asyncio import create_subprocess_exec, subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

#: How long the programs may take to end once the warden asks them to, in seconds.
GRACE_SECONDS = 5.0


class Warden:
    """The stack's end of the pipe."""

    def __init__(self, process: subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, *, keep_open: int) -> Self:
        """Start one; it keeps this file descriptor open, and so the lock on it, until it has done its work."""
        process = await create_subprocess_exec(
            sys.executable,
            "-I",
            __file__,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(keep_open,),
        )
        return cls(process)

    def watch(self, group: int) -> None:
        """End this process group with the stack."""
        self._tell("watch", group)

    def forget(self, group: int) -> None:
        """The process group has ended; its number may be given to others."""
        self._tell("forget", group)

    def clear(self, directory: Path) -> None:
        """Remove this directory with the stack."""
        self._tell("clear", str(directory))

    def keep(self, directory: Path) -> None:
        """Do not remove this directory after all."""
        self._tell("keep", str(directory))

    async def close(self) -> None:
        """Let it do what is left to do, and wait for its end."""
        pipe = self._process.stdin
        assert pipe is not None  # noqa: S101 - `start` asks for it
        pipe.close()
        with suppress(BrokenPipeError, ConnectionResetError):
            await pipe.wait_closed()
        await self._process.wait()

    def _tell(self, verb: str, argument: int | str) -> None:
        pipe = self._process.stdin
        assert pipe is not None  # noqa: S101 - `start` asks for it
        pipe.write(json.dumps([verb, argument]).encode() + b"\n")


def keep_watch(orders: Iterable[str]) -> None:
    """Take orders until the pipe ends, then end the groups and remove the directories that are left."""
    groups: set[int] = set()
    directories: set[str] = set()
    for order in orders:
        match json.loads(order):
            case ["watch", int(group)]:
                groups.add(group)
            case ["forget", int(group)]:
                groups.discard(group)
            case ["clear", str(directory)]:
                directories.add(directory)
            case ["keep", str(directory)]:
                directories.discard(directory)
    _end(groups)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _end(groups: set[int]) -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    for group in groups:
        signal_group(group, signal.SIGTERM)
    while time.monotonic() < deadline and any(signal_group(group, signal.SIGCONT) for group in groups):
        time.sleep(0.05)
    for group in groups:
        signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: signal.Signals) -> bool:
    """Send a signal to a process group; False when none of it is left to take one."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # a group of zombies answers EPERM on macOS
        return False
    return True


if __name__ == "__main__":
    keep_watch(sys.stdin)
