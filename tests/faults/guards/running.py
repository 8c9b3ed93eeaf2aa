"""Running named tests in a copy of the source, each time in a new process, and what became of each."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypedDict

from tests.faults.guards.nursery import Order
from tests.faults.guards.recording import ASSERTION, RECORD, TIMEOUT

#: How long one test may take when a guard is out: some then wait for what never comes.
_TEST_SECONDS = 20
#: Where the promise is that something ends, so that its loss shows as a test that does not: many times what it takes.
_ENDLESS_SECONDS = 5
#: How long one run may take in all before it is ended.
_RUN_SECONDS = 900
#: Plugins that these tests do without, and that cost a second to load.
_WITHOUT = ("cacheprovider", "xdist", "schemathesis")
_ARGUMENTS = (
    "-q", "--tb=line", "-p", "tests.faults.guards.recording", "--hypothesis-seed=0",
    # The libraries are there already, among them what would be rewritten for the sake of its assertions.
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
    *(part for name in _WITHOUT for part in ("-p", f"no:{name}")),
)  # fmt: skip


class Noted(TypedDict):
    """What the plugin noted of one phase of one test."""

    test: str
    phase: str
    outcome: str
    #: The kinds of what it failed by: `assertion`, `timeout`, `collection`, or the name of an exception's class.
    by: list[str]


class Colour(StrEnum):
    """What became of a named test."""

    GREEN = "green"
    #: An assertion of the test failed: it judged the product.
    RED = "red"
    #: It failed without judging: it could not be imported, set up, or ended by an exception of another kind.
    BROKEN = "broken"
    HUNG = "hung"
    #: Nothing of that name was run.
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one named test, and by what it failed."""

    test: str
    colour: Colour
    by: str = ""


class Runner:
    """Runs tests in one tree, each time in a process forked from one that has the libraries."""

    def __init__(self, nursery: asyncio.subprocess.Process, tree: Path) -> None:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        self._orders, self._answers = nursery.stdin, nursery.stdout
        self._record, self._printed = _record_of(tree), tree.with_suffix(".printed")

    async def run(self, tests: Sequence[str], raises: str | None = None) -> list[Result]:
        """What becomes of these tests now."""
        noted, said = await self._noted(tests, _ENDLESS_SECONDS if raises == TIMEOUT else _TEST_SECONDS)
        if not noted:
            return [Result(test, Colour.BROKEN, said) for test in tests]
        return [judged(test, noted, raises) for test in tests]

    async def failures(self, places: Sequence[str]) -> list[Result]:
        """Every test of these files and folders that is not green now, without its parameters."""
        noted, _ = await self._noted(places, _TEST_SECONDS)
        failed = {_without_parameters(note["test"]) for note in noted if note["outcome"] == "failed"}
        return [judged(test, noted) for test in sorted(failed)]

    async def _noted(self, tests: Sequence[str], seconds: int) -> tuple[list[Noted], str]:
        self._record.unlink(missing_ok=True)
        order: Order = {"arguments": [*_ARGUMENTS, f"--timeout={seconds}", *tests], "printed": str(self._printed)}
        self._orders.write(json.dumps(order).encode() + b"\n")
        process = int(await self._answers.readline())
        try:
            async with asyncio.timeout(_RUN_SECONDS):
                await self._answers.readline()
        except TimeoutError:
            _end(process)
            await self._answers.readline()
            return [], f"the tests did not end within {_RUN_SECONDS} s"
        finally:
            # Also what a test has started: nothing is left when the run is given up.
            _end(process)
        noted: list[Noted] = []
        with suppress(OSError, ValueError):
            noted = json.loads(self._record.read_text(encoding="utf-8"))
        lines = self._printed.read_text(encoding="utf-8", errors="replace").splitlines()
        errors = [line for line in lines if line.startswith("ERROR")] or ["pytest ended without a word"]
        return noted, errors[0]


@asynccontextmanager
async def runner(tree: Path) -> AsyncIterator[Runner]:
    """Runs tests in this tree until the block ends."""
    # What was compiled once is kept beside the copy: to compile everything for every guard takes as long again.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    nursery = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.guards.nursery",
        cwd=tree,
        env={**environment, "PYTHONPATH": str(tree), RECORD: str(_record_of(tree))},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield Runner(nursery, tree)
    finally:
        _end(nursery.pid)
        await nursery.wait()


def _record_of(tree: Path) -> Path:
    return tree.with_suffix(".notes.json")


def _end(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def judged(test: str, noted: Iterable[Noted], raises: str | None = None) -> Result:
    """What the notes say of one named test: where it names no parameters, that one of them is red makes it red."""
    own = [note for note in noted if test in {note["test"], _without_parameters(note["test"])}]
    blocked = [note for note in noted if note["phase"] == "collect" and test.startswith(note["test"])]
    called = [note for note in own if note["phase"] == "call"]
    by = {kind for note in called for kind in note["by"]}
    said = ", ".join(sorted(by | {kind for note in (*own, *blocked) for kind in note["by"]}))
    if by & {ASSERTION, raises}:
        return Result(test, Colour.RED, said)
    if TIMEOUT in by:
        return Result(test, Colour.HUNG, said)
    if said:
        return Result(test, Colour.BROKEN, said)
    passed = any(note["outcome"] == "passed" for note in called)
    return Result(test, Colour.GREEN if passed else Colour.ABSENT)


def _without_parameters(test: str) -> str:
    return test.partition("[")[0]
