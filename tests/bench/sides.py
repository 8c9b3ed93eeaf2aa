"""The two that are compared on one stack: the product's services, and the baseline's processes."""

import asyncio
import os
import sys
from asyncio import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeAlias

from ops.stacks import RunningStack, StackError

_ROOT = Path(__file__).parents[2]
_GRACE_SECONDS = 10.0


class Side(Protocol):
    """Starts the three stages of one of the two."""

    async def start(self, service: str) -> None:
        """Start a stage; it takes what stands in its topics from now on."""

    def check(self) -> None:
        """Raise StackError when a stage has ended by itself."""


OpenSide: TypeAlias = Callable[[RunningStack], AbstractAsyncContextManager[Side]]


class _Product:
    def __init__(self, stack: RunningStack) -> None:
        self._stack = stack

    async def start(self, service: str) -> None:
        """Start the service as everybody does: tokens verified, logs written to a file, metrics kept."""
        await self._stack.start_service(service)

    def check(self) -> None:
        """Nothing to ask: the block ends by itself when a service does."""


@asynccontextmanager
async def product(stack: RunningStack) -> AsyncIterator[Side]:
    """The product's services; the stack ends them.

    Raises:
        StackError: one of them, the broker or the database ended by itself; the block is ended at once.
    """
    async with stack.watched():
        yield _Product(stack)


class _Baseline:
    def __init__(self, stack: RunningStack) -> None:
        self._stack = stack
        self._processes: dict[Path, subprocess.Process] = {}

    async def start(self, service: str) -> None:
        """Start the process of a stage; it ends when its standard input does, however this one ends."""
        path = self._stack.log_path(f"baseline-{service}")
        with path.open("wb") as log:
            self._processes[path] = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.bench.baseline", service),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=_ROOT,
                env={**os.environ, **self._stack.environment},
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise StackError when a process has ended by itself."""
        for path, process in self._processes.items():
            if process.returncode is not None:
                raise StackError(f"A process of the baseline has ended by itself:\n{path.read_text()}")

    async def stop(self) -> None:
        """End every process."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.terminate()
        for process in self._processes.values():
            try:
                await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


@asynccontextmanager
async def baseline(stack: RunningStack) -> AsyncIterator[Side]:
    """The baseline's processes; they end with the block."""
    side = _Baseline(stack)
    try:
        yield side
    finally:
        await side.stop()


SIDES: dict[str, OpenSide] = {"product": product, "baseline": baseline}
