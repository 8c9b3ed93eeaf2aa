"""Options that several commands have, and how they print."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

from ops.commands.documents import pieces
from ops.errors import Interrupted, OperatorError
from ops.kinds import OwnStackKind, StackKind
from ops.logs import said_to_people

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")

_STANDARD_OUTPUT = (Path("/dev/stdout"), Path("/dev/fd/1"))

StackOption = Annotated[
    StackKind,
    typer.Option(
        "--stack",
        help="embedded: from Python packages alone; kafka: Apache Kafka and the Rust server; external: your settings.",
    ),
]
OwnStackOption = Annotated[
    OwnStackKind,
    typer.Option("--stack", help="embedded: from Python packages alone; kafka: Apache Kafka and the Rust server."),
]
DirectoryOption = Annotated[
    Path | None, typer.Option("--directory", help="Keep the stack's data and logs here (default: a temporary one).")
]
TokenOption = Annotated[
    str | None, typer.Option("--token", envvar="LESSON_PROGRESS_TOKEN", help="The token to send commands with.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _with_its_folder(path: Path | None) -> Path | None:
    """Where a report goes; said before a long work, not after it.

    Raises:
        OperatorError: there is no such folder.
    """
    if path is not None and not path.parent.is_dir():
        raise OperatorError(f"there is no folder {path.parent} to write the report {path.name} in; make it first")
    return path


ReportOption = Annotated[
    Path | None,
    typer.Option("--report", callback=_with_its_folder, help="Write the result as JSON to this file."),
]
CourseOption = Annotated[str | None, typer.Option("--course", help="Only this course of the dataset.")]


#: Whether the command that runs has begun its work.
BEGUN: ContextVar[bool] = ContextVar("begun", default=False)


def run(step: Coroutine[Any, Any, T], *, interrupted: str | Callable[[], str]) -> T:
    """Run a command's work to its end; `interrupted` is, or then says, what became of it when Ctrl-C ends it.

    Raises:
        Interrupted: it did.
    """
    BEGUN.set(True)
    try:
        with said_to_people():
            return asyncio.run(step)
    except KeyboardInterrupt:
        became = interrupted if isinstance(interrupted, str) else interrupted()
        raise Interrupted(f"interrupted; {became}") from None
    finally:
        step.close()  # Ctrl-C may come before its first line


def print_json(value: object) -> None:
    """Print one JSON document; an iterator is an array of any length."""
    for piece in pieces(value):
        typer.echo(piece, nl=False)
    typer.echo()


def write_report(path: Path | None, report: object) -> None:
    """Write a report where it was asked for; an iterator in it is an array of any length.

    Raises:
        OperatorError: the file cannot be written.
    """
    if path is None:
        return
    try:
        with path.open("w") as file:
            file.writelines(pieces(report))
            file.write("\n")
    except OSError as failure:
        raise OperatorError(f"the report cannot be written to {path}: {failure.strerror}") from None
    if path not in _STANDARD_OUTPUT:
        say(console())(f"the report is in {path}")


def existing_folder(path: Path) -> Path:
    """This folder.

    Raises:
        OperatorError: it is not there.
    """
    if path.is_file():
        raise OperatorError(f"{path} is a file; name a folder that holds a dataset, such as examples/oulad")
    if not path.is_dir():
        raise OperatorError(f"there is no folder {path}; name one that holds a dataset, such as examples/oulad")
    return path


def console() -> Console:
    """Where notices go: standard error, so that standard output holds results alone.

    Names and paths are printed as they are: what looks like markup in them is part of them.
    """
    return Console(stderr=True, markup=False, emoji=False, highlight=False)


def results(*, as_json: bool = False, report: Path | None = None) -> Console:
    """Where a command's answer goes: standard output, unless that holds JSON; then where people read."""
    return console() if as_json or report in _STANDARD_OUTPUT else Console(markup=False, emoji=False, highlight=False)


def bars(out: Console) -> "Progress":
    """Progress bars that leave no trace; without a terminal there are none, and no empty line in their place."""
    from rich.progress import Progress  # noqa: PLC0415 - when a command runs, so that `--help` is there at once

    return Progress(console=out, transient=True, disable=not out.is_terminal)


def say(out: Console) -> Callable[[str], None]:
    """Prints one sentence, never broken by the width of the screen: a path in it can be copied."""
    return partial(out.print, soft_wrap=True)
