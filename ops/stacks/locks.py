"""Locks between processes: a file that one process at a time holds."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ops.stacks.failures import StackError


@asynccontextmanager
async def locked(path: Path, *, seconds: float, busy: str) -> AsyncIterator[int]:
    """Hold the lock on this file, waiting for it this long; the value is the file descriptor that holds it.

    A process that inherits the descriptor holds the lock too, until it closes it or ends.

    Raises:
        StackError: another process holds it; `busy` is the sentence that says so.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + seconds
        while not _taken(descriptor):
            if time.monotonic() > deadline:
                raise StackError(busy)
            await asyncio.sleep(0.05)
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
