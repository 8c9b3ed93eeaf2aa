"""`up`: a whole system, started, kept and stopped."""

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.addresses import without_secrets
from ops.commands.options import DirectoryOption, StackOption, console, existing_folder, results, run, say
from ops.kinds import StackKind

if TYPE_CHECKING:
    from rich.console import Console

    from ops.stacks import RunningStack

# What does the work is imported when the command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415


def up(
    stack: StackOption = StackKind.EMBEDDED,
    directory: DirectoryOption = None,
    data: Annotated[Path | None, typer.Option("--import", help="Import this dataset first.")] = None,
) -> None:
    """Start a whole system and keep it until Ctrl-C; other commands in this folder find it."""
    run(_up(stack, directory, data), interrupted="what had been started is ended")


async def _up(kind: StackKind, directory: Path | None, data: Path | None) -> None:
    from ops.importing import import_platform
    from ops.platform.formats import read_dataset
    from ops.running import only_one_here
    from ops.stacks import start_stack
    from ops.target import from_environment

    out = console()
    # Read first: a system that is started for nothing takes its time.
    dataset = read_dataset(existing_folder(data)) if data is not None else None
    async with (
        only_one_here() as note,
        start_stack(kind, directory=directory, on_event=say(out)) as stack,
        stack.watched(),
    ):
        if dataset is not None:
            await import_platform(from_environment(stack.environment), dataset.platform, out)
            out.print(f"imported {data}", soft_wrap=True)
        note(stack.environment)
        _show(stack, results())
        await _interrupted()
        out.print("stopping")


def _show(stack: "RunningStack", out: "Console") -> None:
    from ops.stacks import SERVICES

    for service in SERVICES:
        out.print(f"{service:>13}  {stack.http_url(service)}", soft_wrap=True)
    out.print(f"{'Kafka':>13}  {stack.bootstrap_servers}", soft_wrap=True)
    out.print(f"{'MongoDB':>13}  {without_secrets(stack.mongo_uri)}", soft_wrap=True)
    out.print("Ctrl-C stops everything.")


async def _interrupted() -> None:
    """Wait for Ctrl-C, or for whoever ends this process politely: that is how `up` is meant to end."""
    interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
    await interrupted.wait()
