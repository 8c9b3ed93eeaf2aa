"""`complete` and `token`: what a learner's gateway would do, by hand."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.options import JsonOption, print_json, run
from ops.errors import OperatorError

if TYPE_CHECKING:
    from ops.conversation import Answer
    from ops.target import Target
    from shared.contracts.values import Message

# What does the work is imported when a command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415

#: What became of a command whose sender pressed Ctrl-C.
SENT_STAYS = "a command that was sent stays in its topic and will be handled"


def complete(
    lesson: Annotated[str, typer.Argument(help="The lesson's id.")],
    user: Annotated[str, typer.Option(help="The learner; the token is made with the development key.")] = "",
    token: Annotated[
        str | None, typer.Option("--token", help="The learner's own token, instead of --user; no variable is read.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Mark one lesson complete, as a gateway would, and show the reply."""
    from ops.conversation import ask
    from ops.target import current
    from shared.contracts.gateways import LessonComplete
    from shared.contracts.topics import PROGRESS_COMMANDS

    if bool(user) == bool(token):
        raise OperatorError("who completed it? give either --user, or the learner's own --token, which says it itself")
    target = current()
    message = valid(LessonComplete, lesson_id=lesson)
    key, proof = ("unknown", token) if token else (user, target.learner_token(valid_user(user)))
    show(run(ask(target, PROGRESS_COMMANDS, key, message, proof), interrupted=SENT_STAYS), as_json=as_json)


def token_command(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    operator: Annotated[bool, typer.Option("--operator", help="With the operator's role.")] = False,
    hours: Annotated[int, typer.Option(min=1, max=720, help="How long it is good for.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Print a token made with the development key of the system that is up."""
    from ops.target import current

    identity = current().identity
    if identity is None:
        raise OperatorError("there is no development key here: start a system with `lesson-progress up`")
    token = identity.mint(valid_user(user), operator=operator, lifetime_seconds=hours * 3600)
    if as_json:
        print_json({"token": token, "userId": user, "operator": operator, "lifetimeSeconds": hours * 3600})
    else:
        typer.echo(token)


def operate(
    target: "Target", topic: str, key: str, kind: "type[Message]", fields: dict[str, str], *, as_json: bool
) -> None:
    """Send one operator's command and show the reply.

    Raises:
        OperatorError: a field is not what it ought to be, no reply came, or the command was refused.
    """
    from ops.conversation import ask

    message = valid(kind, **fields)
    step = ask(target, topic, key, message, target.operator_token())
    show(run(step, interrupted=SENT_STAYS), as_json=as_json)


def show(answer: "Answer", *, as_json: bool) -> None:
    """Print a reply; a rejection ends with exit code 1.

    Raises:
        OperatorError: the command was refused.
    """
    data = json.loads(answer.value)
    if as_json:
        print_json({"type": answer.type, "data": data, "milliseconds": round(answer.milliseconds, 1)})
    else:
        typer.echo(f"{answer.type} after {answer.milliseconds:.0f} ms")
        for name, value in data.items():
            typer.echo(f"  {name}: {json.dumps(value, ensure_ascii=False)}")
    if answer.rejected:
        raise OperatorError(f"refused: {data['code']} {data['reason']}")


def valid(kind: "type[Message]", **fields: str) -> "Message":
    """A message of these fields.

    Raises:
        OperatorError: one of them is not what the contract asks for.
    """
    from pydantic import ValidationError

    try:
        return kind(**fields)
    except ValidationError as error:
        wrong = ", ".join(_option(str(problem["loc"][0])) for problem in error.errors())
        raise OperatorError(f"{wrong}: {_RULE}") from None


def valid_user(user: str) -> str:
    """This user's id.

    Raises:
        OperatorError: no token that names it would be accepted.
    """
    from pydantic import TypeAdapter, ValidationError

    from shared.contracts.values import Id

    try:
        return TypeAdapter[str](Id).validate_python(user)
    except ValidationError:
        raise OperatorError(f"the user's id: {_RULE}") from None


_RULE = "ids have 1 to 255 characters and no control characters, a reason at most 500 characters"


def _option(field: str) -> str:
    """What an operator calls a message's field: its name there is its alias."""
    return field.removesuffix("Id").removesuffix("_id")
