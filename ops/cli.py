"""`lesson-progress`: the operator's command.

The modules of `ops.commands` say what can be asked for; what does the work is imported when a command runs, so that
`--help` is there at once.
"""

import sys
from importlib.metadata import version
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from ops.commands import (
    auditing,
    deadletters,
    identity,
    importing,
    lagging,
    learning,
    repair,
    replaying,
    rewinding,
    system,
    topics,
    verifying,
)
from ops.commands.options import BEGUN
from ops.errors import Interrupted, OperatorError
from ops.failures import sentence_of


class _Commands(TyperGroup):
    """Every command, interrupted in one sentence wherever Ctrl-C finds it."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command.

        Raises:
            Interrupted: Ctrl-C came before its work, or between two parts of it.
        """
        BEGUN.set(False)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            became = "what was done so far stays" if BEGUN.get() else "nothing was changed"
            raise Interrupted(f"interrupted; {became}") from None


app = typer.Typer(
    cls=_Commands,
    help="Lesson Progress: run it, drive it, repair it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("up")(system.up)
app.command("demo")(replaying.demo)
app.command("replay")(replaying.replay_command)
app.command("import")(importing.import_command)
app.command("complete")(learning.complete)
app.command("token")(learning.token_command)
app.command("identity")(identity.identity)
app.command("recalculate")(repair.recalculate)
app.command("lag")(lagging.lag)
app.command("audit")(auditing.audit)
app.command("rewind")(rewinding.rewind)
app.command("verify")(verifying.verify)
app.add_typer(topics.topics, name="topics")
app.add_typer(deadletters.dead_letters, name="dead-letters")
app.add_typer(repair.certificates, name="certificates")
repair.certificates.command("restore")(rewinding.restore)


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
    except OperatorError as failure:
        _end(str(failure), failure.exit_code)
    except Exception as failure:
        sentence = sentence_of(failure)
        if sentence is None:
            raise
        _end(sentence, OperatorError.exit_code)


def _end(sentence: str, code: int) -> NoReturn:
    sys.stderr.writelines(f"lesson-progress: {line}\n" for line in sentence.splitlines())
    sys.exit(code)
