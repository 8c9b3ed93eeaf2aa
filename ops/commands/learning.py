"""`complete` and `token`: what a learner's gateway would do, by hand."""

import json
from typing import Annotated

import typer

from ops.commands.options import JsonOption, TokenOption, print_json, run
from ops.conversation import Answer, ask
from ops.errors import OperatorError
from ops.target import Target, current
from shared.contracts.gateways import LessonComplete
from shared.contracts.topics import PROGRESS_COMMANDS
from shared.contracts.values import Message


def complete(
    lesson: Annotated[str, typer.Argument(help="The lesson's id.")],
    user: Annotated[str, typer.Option(help="The learner; needs the development key unless --token is given.")] = "",
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mark one lesson complete, as a gateway would, and show the reply."""
    if not user and not token:
        raise OperatorError("who completed it? give --user, or the learner's own --token")
    target = current()
    message = _valid(LessonComplete, lesson_id=lesson)
    answer = run(ask(target, PROGRESS_COMMANDS, user or "unknown", message, token or target.learner_token(user)))
    show(answer, as_json=as_json)


def token_command(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    operator: Annotated[bool, typer.Option("--operator", help="With the operator's role.")] = False,
    hours: Annotated[int, typer.Option(min=1, max=720, help="How long it is good for.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Print a token made with the development key of the system that is up."""
    identity = current().identity
    if identity is None:
        raise OperatorError("there is no development key here: start a system with `lesson-progress up`")
    token = identity.mint(user, operator=operator, lifetime_seconds=hours * 3600)
    if as_json:
        print_json({"token": token, "userId": user, "operator": operator, "lifetimeSeconds": hours * 3600})
    else:
        typer.echo(token)


def operate(
    target: Target, topic: str, key: str, kind: type[Message], fields: dict[str, str], *, as_json: bool
) -> None:
    """Send one operator's command and show the reply."""
    message = _valid(kind, **fields)
    show(run(ask(target, topic, key, message, target.operator_token())), as_json=as_json)


def show(answer: Answer, *, as_json: bool) -> None:
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


def _valid(kind: type[Message], **fields: str) -> Message:
    try:
        return kind(**fields)
    except ValueError:
        raise OperatorError(f"{', '.join(fields)}: ids have 1 to 255 characters and no control characters") from None
