"""`up`, `demo` and `replay`: a whole system, started, driven and stopped."""

import asyncio
import json
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ops.commands.options import (
    CourseOption,
    DirectoryOption,
    ReportOption,
    StackOption,
    console,
    existing_folder,
    run,
    write_report,
)
from ops.errors import OperatorError
from ops.platform.counting import expected_figures
from ops.platform.formats import read_dataset
from ops.platform.oulad import read_oulad
from ops.replay.plan import plan
from ops.replay.run import Result, import_dataset, replay, save_one_pdf
from ops.replay.view import summary
from ops.stacks import RunningStack, StackKind, start_stack
from ops.target import RUNNING, Target, current, from_environment
from shared.contracts.topics import SERVICES

_DEMO_COURSE = "AAA-2013J"
_DEMO_RATE = 60.0
_DEMO_DIRECTORY = Path(".lesson-progress") / "demo"


def up(
    stack: StackOption = StackKind.EMBEDDED,
    directory: DirectoryOption = None,
    data: Annotated[Path | None, typer.Option("--import", help="Import this dataset first.")] = None,
) -> None:
    """Start a whole system and keep it until Ctrl-C; other commands in this folder find it."""
    run(_up(stack, directory, data))


def demo(
    report: ReportOption = None,
    dataset: Annotated[Path, typer.Option(help="The dataset's folder.")] = Path("examples/oulad"),
    course: Annotated[str, typer.Option(help="The course to replay.")] = _DEMO_COURSE,
    stack: StackOption = StackKind.EMBEDDED,
) -> None:
    """Replay one course of real learners on a fresh system, live, and compare the figures with the files."""
    run(_demo(dataset, course, stack, report))


def replay_command(
    dataset: Annotated[Path, typer.Argument(help="The dataset's folder, e.g. examples/oulad.")],
    stack: StackOption = StackKind.EMBEDDED,
    directory: DirectoryOption = None,
    course: CourseOption = None,
    copies: Annotated[int, typer.Option(min=1, max=10, help="How often each command is sent.")] = 2,
    in_order: Annotated[bool, typer.Option("--in-order", help="As the learners did it, not shuffled.")] = False,
    seed: Annotated[int | None, typer.Option(help="Repeats an order (default: a new one).")] = None,
    rounds: Annotated[
        int, typer.Option(min=1, max=10, help="Replay so often; only the first may change anything.")
    ] = 1,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Commands a second (default: as fast as they go).")
    ] = None,
    report: ReportOption = None,
) -> None:
    """Send a dataset's completions through the whole system and compare what arrives with the files."""
    chosen = seed if seed is not None else secrets.randbelow(2**31)
    run(_replay(dataset, stack, directory, course, copies, None if in_order else chosen, rounds, rate, report))


async def _up(kind: StackKind, directory: Path | None, data: Path | None) -> None:
    out = console()
    async with start_stack(kind, directory=directory, on_event=out.print) as stack:
        target = from_environment(stack.environment)
        if data is not None:
            await import_dataset(target, read_dataset(existing_folder(data)))
        _note_running(stack)
        try:
            for service in SERVICES:
                out.print(f"{service:>13}  {stack.http_url(service)}")
            out.print(f"{'Kafka':>13}  {stack.bootstrap_servers}\n{'MongoDB':>13}  {stack.mongo_uri}")
            out.print("Ctrl-C stops everything.")
            await _until_interrupted(stack)
        finally:
            RUNNING.unlink(missing_ok=True)


def _note_running(stack: RunningStack) -> None:
    """Let the commands that follow find this system; for this user's eyes, since an address may hold a password."""
    RUNNING.parent.mkdir(exist_ok=True)
    RUNNING.unlink(missing_ok=True)
    RUNNING.touch(mode=0o600)
    RUNNING.write_text(json.dumps(dict(stack.environment)))


async def _until_interrupted(stack: RunningStack) -> None:
    interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
    waiting = {asyncio.create_task(interrupted.wait()), asyncio.create_task(stack.watch())}
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


@asynccontextmanager
async def _system(kind: StackKind, directory: Path | None, out: Console) -> AsyncIterator[Target]:
    """A system to replay on: a fresh one, or the one that the settings name."""
    if kind is StackKind.EXTERNAL:
        yield current()
        return
    async with start_stack(kind, directory=directory, on_event=out.print) as stack:
        yield from_environment(stack.environment)


async def _demo(dataset: Path, course: str, kind: StackKind, report: Path | None) -> None:
    out = console()
    data = read_oulad(existing_folder(dataset), course)
    expected = expected_figures(dataset, course)
    async with _system(kind, None, out) as target:
        out.print(f"{course}: {expected.enrollments} learners, {expected.completions} completions, as they did them")
        await import_dataset(target, data)
        result = await replay(target, data, plan(data), expected, rate=_DEMO_RATE, console=out)
        pdf = await save_one_pdf(target, _DEMO_DIRECTORY, courses=[course])
    _close(result, out, report)
    out.print(f"One learner's certificate: {pdf}")


async def _replay(
    dataset: Path,
    kind: StackKind,
    directory: Path | None,
    course: str | None,
    copies: int,
    seed: int | None,
    rounds: int,
    rate: float | None,
    report: Path | None,
) -> None:
    out = console()
    data = read_oulad(existing_folder(dataset), course)
    expected = expected_figures(dataset, course)
    commands = plan(data, copies=copies, shuffled=seed is not None, seed=seed or 0)
    order = "in the learners' order" if seed is None else f"in random order (--seed {seed})"
    async with _system(kind, directory, out) as target:
        await import_dataset(target, data)
        fingerprint: str | None = None
        for turn in range(1, rounds + 1):
            out.print(f"round {turn} of {rounds}: {len(commands):,} commands {order}")
            result = await replay(target, data, commands, expected, rate=rate, console=out)
            if fingerprint not in (None, result.figures.fingerprint):
                result.problems.append(f"round {turn} changed what stood in the database")
            fingerprint = result.figures.fingerprint
            _close(result, out, report)


def _close(result: Result, out: Console, report: Path | None) -> None:
    out.print(
        summary(result.watch, result.figures, result.expected, drift=result.drift, dead_letters=result.dead_letters)
    )
    out.print(f"{result.watch.sent:,} commands in {result.seconds:.1f} s, {result.watch.answered:,} answered")
    write_report(report, result.report())
    if result.problems:
        raise OperatorError("the figures differ from the files: " + "; ".join(result.problems))
    out.print("Everything is as the files say.")
