"""`demo` and `replay`: real learners' completions through a whole system, compared with the files."""

import secrets
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ops.commands.learning import SENT_STAYS
from ops.commands.options import (
    CourseOption,
    DirectoryOption,
    OwnStackOption,
    ReportOption,
    StackOption,
    console,
    existing_folder,
    results,
    run,
    write_report,
)
from ops.kinds import OwnStackKind, StackKind

# What does the work is imported when a command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415

_DEMO_COURSE = "AAA-2013J"
_DEMO_RATE = 60.0
_DEMO_DIRECTORY = Path(".lesson-progress") / "demo"
_ENDED = "the system that was started is ended"


def demo(
    report: ReportOption = None,
    dataset: Annotated[Path, typer.Option(help="The dataset's folder.")] = Path("examples/oulad"),
    course: Annotated[str, typer.Option(help="The course to replay.")] = _DEMO_COURSE,
    stack: OwnStackOption = OwnStackKind.EMBEDDED,
) -> None:
    """Replay one course of real learners on a fresh system, live, and compare the figures with the files."""
    from ops.replay.session import run_demo

    step = run_demo(
        existing_folder(dataset),
        course,
        StackKind(stack),
        rate=_DEMO_RATE,
        pdfs=_DEMO_DIRECTORY,
        out=console(),
        answer=results(report=report),
        write=partial(write_report, report),
    )
    run(step, interrupted=f"{_ENDED}, and nothing of it is kept")


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
    ask_again: Annotated[
        bool,
        typer.Option(
            "--ask-again",
            help="Send what has no answer again, as gateways do, while parts of the system go and come. "
            "Without it a missing answer is a problem.",
        ),
    ] = False,
    report: ReportOption = None,
) -> None:
    """Send a dataset's completions through the whole system and compare what arrives with the files."""
    from ops.replay.session import Rounds, run_rounds

    chosen = seed if seed is not None else secrets.randbelow(2**31)
    wanted = Rounds(copies, None if in_order else chosen, rounds, rate, ask_again)
    folder, write = existing_folder(dataset), partial(write_report, report)
    became = SENT_STAYS if stack is StackKind.EXTERNAL else _ENDED
    step = run_rounds(
        folder, course, stack, directory, wanted, out=console(), answer=results(report=report), write=write
    )
    run(step, interrupted=became)
