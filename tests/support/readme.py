"""Does what a document tells its reader to do: `python -m tests.support.readme README.md [...]`.

The marks stand in a fenced block's info string, after its language:

    ```bash run                     run to its end; its exit code must be 0
    ```bash run exit=1              the same, with another exit code
    ```bash background until=FILE   started and kept to the end of the document; there once FILE is
    ```python save=FILE             written to FILE

`seconds=N` changes how long a block may take. A shell block without a mark is run by the gate itself, `.ci/run`.
Each document has a copy of the repository of its own, with this Python's environment as its `.venv`.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHELLS = frozenset({"bash", "sh", "console", "shell"})
_SECONDS = 180.0
_END_SECONDS = 30.0
_TRACEBACK = "Traceback (most recent call last)"
_PROBE_SECONDS = 0.1
_FENCE = re.compile(r"^```(?P<info>[^\n`]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Failed(Exception):
    """A document promises what is not so; the text shows the command and what it printed."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its language, its marks, its text, and the line its text begins at."""

    language: str
    marks: Mapping[str, str]
    text: str
    line: int

    @property
    def is_shell(self) -> bool:
        """Whether a reader would type it."""
        return self.language in SHELLS

    @property
    def seconds(self) -> float:
        """How long it may take."""
        return float(self.marks.get("seconds", _SECONDS))


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a document that name their language, in order."""
    return [_block(found, text) for found in _FENCE.finditer(text)]


def _block(found: re.Match[str], text: str) -> Block:
    language, *words = found["info"].split()
    marks = {name: value for name, _, value in (word.partition("=") for word in words)}
    return Block(language, marks, found["text"], text.count("\n", 0, found.start()) + 2)


@dataclass(slots=True)
class _Running:
    """A block that was started and goes on."""

    block: Block
    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def end(self) -> None:
        """Interrupt it as Ctrl-C does, and see that it ends."""
        if self.process.poll() is not None:
            raise Failed(_story(self.block, f"ended by itself with exit code {self.process.returncode}", self.output()))
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed(_story(self.block, f"did not end within {_END_SECONDS:.0f} s", self.output())) from None

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Reader:
    """Somebody who follows a document in a folder."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self._folder = folder
        self._logs = logs
        self._running: list[_Running] = []
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LESSON_PROGRESS_")}
        self._environment = kept | {"PATH": f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    def follow(self, text: str) -> int:
        """Do what the document says, in order, and end what it started; answers how many blocks were done.

        Raises:
            Failed: a block did not do what its marks say.
        """
        done = 0
        try:
            for block in blocks(text):
                done += self._do(block)
            for running in reversed(self._running):
                running.end()
        finally:
            for running in self._running:
                running.kill()
        return done

    def _do(self, block: Block) -> bool:
        started = time.monotonic()
        if "save" in block.marks:
            (self._folder / block.marks["save"]).write_text(block.text)
        elif "background" in block.marks:
            self._start(block)
        elif "run" in block.marks:
            self._run(block)
        else:
            return False
        sys.stdout.write(f"{_shown(block)}  # {time.monotonic() - started:.1f} s\n")
        sys.stdout.flush()
        return True

    def _run(self, block: Block) -> None:
        running = self._launch(block)
        try:
            code = running.process.wait(block.seconds)
        except subprocess.TimeoutExpired:
            running.kill()
            raise Failed(_story(block, f"took longer than {block.seconds:.0f} s", running.output())) from None
        if code != int(block.marks.get("exit", 0)):
            raise Failed(_story(block, f"ended with exit code {code}", running.output()))
        if _TRACEBACK in running.output():  # also where the code is as it should be
            raise Failed(_story(block, "printed a traceback", running.output()))

    def _start(self, block: Block) -> None:
        running = self._launch(block)
        self._running.append(running)
        sign = self._folder / block.marks["until"]
        deadline = time.monotonic() + block.seconds
        while not sign.exists():
            if running.process.poll() is not None:
                raise Failed(_story(block, f"ended with exit code {running.process.returncode}", running.output()))
            if time.monotonic() > deadline:
                raise Failed(_story(block, f"made no {sign.name} within {block.seconds:.0f} s", running.output()))
            time.sleep(_PROBE_SECONDS)

    def _launch(self, block: Block) -> _Running:
        log = self._logs / f"line-{block.line}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - the document is ours
                ["/bin/bash", "-euo", "pipefail", "-c", block.text],
                cwd=self._folder, env=self._environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        return _Running(block, process, log)


def _shown(block: Block) -> str:
    if "save" in block.marks:
        return f"> {block.marks['save']}"
    return "\n".join(f"$ {line}" for line in block.text.splitlines())


def _story(block: Block, happened: str, output: str) -> str:
    return f"line {block.line}: {happened}\n{_shown(block)}\n{output}"


@contextmanager
def copied() -> Iterator[tuple[Path, Path]]:
    """A copy of the repository as it stands here, without what git ignores, and a folder for logs."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")  # noqa: S603
    with tempfile.TemporaryDirectory(prefix="lesson-progress-reader-") as folder:
        copy, logs = Path(folder, "lesson-progress"), Path(folder, "logs")
        logs.mkdir()
        for name in names:
            if name and (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        (copy / ".venv").symlink_to(sys.prefix)
        yield copy, logs


def main(arguments: Sequence[str] | None = None) -> int:
    """Follow each document; answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.readme", description="Do what documents say.")
    parser.add_argument("documents", nargs="+", type=Path)
    for document in parser.parse_args(arguments).documents:
        sys.stdout.write(f"== {document}\n")
        try:
            with copied() as (folder, logs):
                done = Reader(folder, logs).follow(document.read_text())
        except Failed as failure:
            sys.stderr.write(f"{document}, {failure}\n")
            return 1
        if not done:
            sys.stderr.write(f"{document} has no marked block\n")
            return 1
        sys.stdout.write(f"{document}: {done} blocks done\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
