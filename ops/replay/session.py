"""A replay from the command line: the system it runs on, the rounds, what is shown and what is reported."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from rich.console import Console

from ops.errors import OperatorError
from ops.importing import import_platform
from ops.kinds import StackKind
from ops.platform.counting import expected_figures
from ops.platform.oulad import read_oulad
from ops.replay.plan import plan
from ops.replay.run import replay, save_one_pdf
from ops.replay.verdict import Result
from ops.replay.view import summary
from ops.stacks import start_stack
from ops.tables import print_table
from ops.target import Target, current, from_environment

#: Takes a finished report, to write it where it was asked for.
Write: TypeAlias = Callable[[dict[str, object]], None]


@dataclass(frozen=True, slots=True)
class Ground:
    """A system to replay on."""

    target: Target
    #: Where the log of a program is; None when the system is somebody else's.
    log_of: Callable[[str], Path] | None


@dataclass(frozen=True, slots=True)
class Rounds:
    """What is sent, in which order, how often and how fast."""

    copies: int
    #: None: in the learners' order.
    seed: int | None
    rounds: int
    #: Commands a second; None: as fast as they go.
    rate: float | None
    #: Whether what has no answer is sent again.
    ask_again: bool = False

    @property
    def order(self) -> str:
        """The order, for people; the seed in it repeats a random one."""
        return "in the learners' order" if self.seed is None else f"in random order (--seed {self.seed})"


async def run_demo(
    folder: Path, course: str, kind: StackKind, *, rate: float, pdfs: Path, out: Console, answer: Console, write: Write
) -> None:
    """Replay one course on a fresh system, once, as the learners did it, and save one certificate.

    `out` hears how far it is, `answer` what was found.

    Raises:
        OperatorError: a figure differs from the files, or something failed on the way.
    """
    data, expected = read_oulad(folder, course), expected_figures(folder, course)
    async with _ground(kind, None, out) as ground:
        out.print(f"{course}: {expected.enrollments} learners, {expected.completions} completions, as they did them")
        await import_platform(ground.target, data.platform, out)
        result = await replay(ground.target, data, plan(data), expected, rate=rate, console=out, log_of=ground.log_of)
        write(result.report())
        _show(result, answer)
        pdf = await save_one_pdf(ground.target, pdfs, courses=[course])
    told = f"One learner's certificate: {pdf}" if pdf else "Nobody finished the course, so there is no certificate."
    answer.print(told, soft_wrap=True)


async def run_rounds(
    folder: Path,
    course: str | None,
    kind: StackKind,
    directory: Path | None,
    wanted: Rounds,
    *,
    out: Console,
    answer: Console,
    write: Write,
) -> None:
    """Replay a dataset; what is reported are the figures of the first round, and whether a later one changed any.

    Raises:
        OperatorError: a figure differs from the files, a later round changed one, or something failed on the way.
    """
    if kind is StackKind.EXTERNAL:
        _elsewhere()  # said before the files are read
    data, expected = read_oulad(folder, course), expected_figures(folder, course)
    commands = plan(data, copies=wanted.copies, shuffled=wanted.seed is not None, seed=wanted.seed or 0)
    async with _ground(kind, directory, out) as ground:
        await import_platform(ground.target, data.platform, out)
        results: list[Result] = []
        for turn in range(1, wanted.rounds + 1):
            out.print(f"round {turn} of {wanted.rounds}: {len(commands):,} commands {wanted.order}")
            result = await replay(
                ground.target, data, commands, expected,
                rate=wanted.rate, console=out, ask_again=wanted.ask_again, log_of=ground.log_of,
            )  # fmt: skip
            results.append(result)
            if result.figures.fingerprint != results[0].figures.fingerprint:
                result.problems.append(f"round {turn} changed what stood in the database")
            write(report_of(results))
            _show(result, answer)


def report_of(results: list[Result]) -> dict[str, object]:
    """The report of all rounds: figures and latencies are of the first, later ones only repeat what is there."""
    rounds = [
        {
            "seconds": round(result.seconds, 3),
            "changed": result.figures.fingerprint != results[0].figures.fingerprint,
            "problems": result.problems,
        }
        for result in results
    ]
    problems = [problem for result in results for problem in result.problems]
    return {**results[0].report(), "problems": problems, "rounds": rounds}


@asynccontextmanager
async def _ground(kind: StackKind, directory: Path | None, out: Console) -> AsyncIterator[Ground]:
    """A system to replay on: a fresh one, which ends with the block, or the one that the settings name.

    Raises:
        OperatorError: the system cannot be replayed on.
        StackError: the fresh one cannot start, or one of its programs ended by itself: the block ends then, too.
    """
    if kind is StackKind.EXTERNAL:
        yield Ground(_elsewhere(), None)
        return
    async with (
        start_stack(kind, directory=directory, on_event=partial(out.print, soft_wrap=True)) as stack,
        stack.watched(),
    ):
        yield Ground(from_environment(stack.environment), stack.log_path)


def _elsewhere() -> Target:
    """The system that the settings name.

    Raises:
        OperatorError: it cannot be replayed on.
    """
    target = current()
    if target.identity is None:
        raise OperatorError(
            "a replay signs each learner's token itself, and there is no development key here: replay on a system of "
            "its own (--stack embedded, --stack kafka), or in the folder where `lesson-progress up` runs"
        )
    return target


def _show(result: Result, out: Console) -> None:
    """Print what a round found.

    Raises:
        OperatorError: it found what the files do not say.
    """
    print_table(
        summary(result.watch, result.figures, result.expected, drift=result.drift, dead_letters=result.dead_letters),
        out,
    )
    out.print(f"{result.watch.sent:,} commands in {result.seconds:.1f} s, {result.watch.answered:,} answered")
    if result.problems:
        raise OperatorError("the figures differ from the files: " + "; ".join(result.problems))
    out.print("Everything is as the files say.")
