"""Child processes: started under the warden, each with a log of its own, ended for certain."""

import asyncio
import os
import signal
from asyncio import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from ops.stacks.warden import Warden, signal_group

#: Waits for a word from the stack, then becomes the program. Were the stack killed before the warden knows of the
#: child, the word would never come, and the child would end here.
_GATE = ("/bin/sh", "-c", 'read -r word && exec "$@" </dev/null', "gate")


class Child:
    """One running program, alone in its session, so that a terminal's Ctrl-C reaches the stack and not the program."""

    def __init__(self, process: subprocess.Process, warden: Warden) -> None:
        self._process = process
        self._warden = warden
        self._ending = asyncio.create_task(self._end())

    @classmethod
    async def start(
        cls, command: Sequence[str], *, environment: Mapping[str, str], directory: Path, log: Path, warden: Warden
    ) -> Self:
        """Start a program in this directory; what it prints is added to the log."""
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *_GATE,
                *command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(output)
        warden.watch(process.pid)
        pipe = process.stdin
        assert pipe is not None  # noqa: S101 - asked for above
        pipe.write(b"go\n")
        pipe.close()
        return cls(process, warden)

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.returncode

    async def ended(self) -> int:
        """The exit code, negative for a signal, once the program has ended."""
        return await asyncio.shield(self._ending)

    def when_ended(self, then: Callable[[int], None]) -> None:
        """Call this with the exit code as soon as the program has ended."""
        self._ending.add_done_callback(lambda ending: then(ending.result()))

    async def stop(self, *, timeout: float) -> int:  # noqa: ASYNC109 - the program's time, not the caller's
        """Ask the program to end (SIGTERM); make it when it takes longer than this (s). Answers its exit code."""
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # a frozen program would not hear it
        try:
            async with asyncio.timeout(timeout):
                return await self.ended()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return await self.ended()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program; nothing happens when it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def _end(self) -> int:
        code = await self._process.wait()
        signal_group(self._process.pid, signal.SIGKILL)  # what it started and left behind
        self._warden.forget(self._process.pid)
        return code
