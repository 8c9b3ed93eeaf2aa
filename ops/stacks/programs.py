"""The programs of one stack: started until they answer, watched, stopped."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from ops.stacks.children import Child
from ops.stacks.failures import StackError, failure_of
from ops.stacks.warden import Warden

#: What every program sees of the environment: nothing that could configure it behind the stack's back.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "JAVA_HOME")
_PROBE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run and how to see that it answers."""

    name: str
    #: Its name and version, for people.
    title: str
    command: tuple[str, ...]
    #: Where it answers, for people.
    address: str
    answers: Callable[[], Awaitable[bool]]
    #: Beside what every program sees.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Where it runs; the stack's directory when None.
    directory: Path | None = None
    #: How long it may take until it answers.
    patience_seconds: float = 120.0


class Programs:
    """Starts programs by name, and knows which of them were asked to end."""

    def __init__(self, directory: Path, logs: Path, warden: Warden, on_event: Callable[[str], None]) -> None:
        self._directory = directory
        self._logs = logs
        self._warden = warden
        #: Hears one sentence for each step.
        self.tell = on_event
        self._children: dict[str, Child] = {}
        self._dismissed: set[Child] = set()
        self._failure: asyncio.Future[StackError] = asyncio.get_running_loop().create_future()

    def log_path(self, name: str) -> Path:
        """Where the program of this name writes what it prints."""
        return self._logs / f"{name}.log"

    @property
    def running(self) -> list[str]:
        """The names of the programs that run, in the order of their start."""
        return [name for name, child in self._children.items() if child.exit_code is None]

    async def start(self, program: Program) -> None:
        """Start a program and wait until it answers.

        Raises:
            StackError: it ended, did not answer in time, or runs already.
        """
        began = time.monotonic()
        child = await self._launch(program.name, program.command, program.environment, program.directory)
        child.when_ended(lambda code: self._note_end(program, child, code))
        await self._until_it_answers(program, child)
        self.tell(f"{program.title} answers at {program.address} after {time.monotonic() - began:.1f} s")

    async def run(
        self, name: str, title: str, command: tuple[str, ...], *, directory: Path, patience_seconds: float
    ) -> None:
        """Run a program to its end, in the whole environment of this process.

        Raises:
            StackError: it failed or took too long.
        """
        child = await self._launch(name, command, os.environ, directory)
        self._dismissed.add(child)
        try:
            async with asyncio.timeout(patience_seconds):
                code = await child.ended()
        except TimeoutError:
            raise failure_of(title, f"did not end within {patience_seconds:.0f} s", self.log_path(name)) from None
        if code != 0:
            raise failure_of(title, f"failed with exit code {code}", self.log_path(name))

    async def stop(self, name: str, *, timeout: float) -> int:  # noqa: ASYNC109 - the program's time, not the caller's
        """Ask a program to end; make it when it takes longer than this (s). Answers its exit code."""
        child = self._child(name)
        self._dismissed.add(child)
        return await child.stop(timeout=timeout)

    async def stop_all(self, names: Collection[str], *, timeout: float) -> None:  # noqa: ASYNC109 - the same
        """Stop these programs at once."""
        await asyncio.gather(*(self.stop(name, timeout=timeout) for name in names))

    def kill(self, name: str) -> None:
        """End a program without warning (SIGKILL)."""
        self._dismissed.add(self._child(name))
        self.signal(name, signal.SIGKILL)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a program."""
        self._child(name).signal(number)

    async def watch(self) -> NoReturn:
        """Wait until a program ends that nobody asked to.

        Raises:
            StackError: one did.
        """
        raise await asyncio.shield(self._failure)

    def _child(self, name: str) -> Child:
        if name not in self._children:
            raise StackError(f"{name} does not run in this stack")
        return self._children[name]

    async def _launch(
        self, name: str, command: tuple[str, ...], environment: Mapping[str, str], directory: Path | None
    ) -> Child:
        if (earlier := self._children.get(name)) is not None:
            if earlier not in self._dismissed and earlier.exit_code is None:
                raise StackError(f"{name} runs already")
            await earlier.ended()
        self._children[name] = child = await Child.start(
            command,
            environment={key: os.environ[key] for key in _PASSED_ON if key in os.environ} | dict(environment),
            directory=directory or self._directory,
            log=self.log_path(name),
            warden=self._warden,
        )
        return child

    async def _until_it_answers(self, program: Program, child: Child) -> None:
        deadline = time.monotonic() + program.patience_seconds
        while child.exit_code is None and not await program.answers():
            if time.monotonic() > deadline:
                happened = f"did not answer at {program.address} within {program.patience_seconds:.0f} s"
                raise failure_of(program.title, happened, self.log_path(program.name))
            await asyncio.sleep(_PROBE_SECONDS)
        if child.exit_code is not None:  # somebody else may have answered on its port
            raise self._ended(program, child.exit_code)

    def _note_end(self, program: Program, child: Child, code: int) -> None:
        if child not in self._dismissed and not self._failure.done():
            self._failure.set_result(self._ended(program, code))

    def _ended(self, program: Program, code: int) -> StackError:
        reason = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return failure_of(program.title, f"ended by itself ({reason})", self.log_path(program.name))
