"""`rewind`: handle again what came since a moment, after the database was restored to it."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.options import JsonOption, console, print_json, run, say
from ops.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.rewinding import Rewind
    from ops.target import Target

# What does the work is imported when a command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415


def rewind(
    service: Annotated[str, typer.Argument(help="progress, recalculator or certificates; it must be stopped.")],
    to: Annotated[str, typer.Option("--to", metavar="MOMENT", help="Since when, as 2026-01-31T03:00:00Z.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would be done.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let a stopped service handle again every command since a moment: after the database was restored to it.

    Harmless however often: what is stored already is found, not doubled.
    """
    from ops.rewinding import iso, moment
    from ops.target import current
    from shared.contracts.topics import SERVICES

    if service not in SERVICES:
        raise OperatorError(f"there is no service {service!r}; there are {', '.join(SERVICES)}")
    since = moment(to)
    plan = run(_rewind(current(), service, since, do=yes), interrupted="the same command does it, or does the rest")
    if as_json:
        print_json({"service": service, "since": since, "done": yes, "partitions": [asdict(step) for step in plan]})
    out = say(console())
    for step in plan if not as_json else ():
        out(f"{step.topic}, partition {step.partition}: {_count([step])}, from offset {step.to_offset} on")
    if any(step.may_lack for step in plan):
        out("Some of these topics begin later than that moment: what came before their beginnings is gone.")
    if not plan:
        out(f"Nothing: {service} has finished no command since {iso(since)}.")
    elif yes:
        out(f"{service} handles {_count(plan)} again when it starts.")
    else:
        out(f"{service} would handle {_count(plan)} again; repeat with --yes to do it.")


async def _rewind(target: "Target", service: str, since: int, *, do: bool) -> "Sequence[Rewind]":
    from ops.rewinding import Rewinder

    async with Rewinder(target, service) as rewinder:
        plan = await rewinder.plan(since)
        if do and plan:
            await rewinder.rewind(plan)
        return plan


def _count(plan: "Sequence[Rewind]") -> str:
    records = sum(step.records for step in plan)
    return "1 record" if records == 1 else f"{records} records"
