"""`lesson-progress`: the operator's command."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from ops.commands import importing, learning, repair, system, topics
from ops.errors import OperatorError
from ops.platform.problems import ImportInterrupted, ImportRefused
from ops.stacks import StackError
from shared.errors import Fatal, Transient

app = typer.Typer(
    help="Lesson Progress: run it, drive it, repair it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("up")(system.up)
app.command("demo")(system.demo)
app.command("replay")(system.replay_command)
app.command("import")(importing.import_command)
app.command("complete")(learning.complete)
app.command("token")(learning.token_command)
app.command("recalculate")(repair.recalculate)
app.command("audit")(repair.audit)
app.add_typer(topics.topics, name="topics")
app.add_typer(repair.certificates, name="certificates")

_INTERRUPTED = 130


def _version(asked: bool) -> None:
    if asked:
        typer.echo(version("lesson-progress"))
        raise typer.Exit


@app.callback()
def common(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Lesson Progress: run it, drive it, repair it."""


def main() -> None:
    """Run the command; every error is one clear sentence and a non-zero exit."""
    try:
        app()
    except (OperatorError, ImportRefused, ImportInterrupted, StackError, Fatal, Transient) as failure:
        sys.stderr.write(f"lesson-progress: {failure}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("lesson-progress: interrupted; what was sent stays in the topics and will be handled\n")
        sys.exit(_INTERRUPTED)
