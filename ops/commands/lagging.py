"""`lag`: how many records each service has still to handle, and waiting until there are none."""

from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.options import JsonOption, console, print_json, run
from ops.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.offsets import GroupOffsets
    from ops.target import Target

# What does the work is imported when a command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415

#: How often the broker is asked while it is waited (seconds).
_ASK_SECONDS = 0.5


def lag(
    services: Annotated[
        list[str] | None, typer.Argument(metavar="[SERVICE]...", help="progress, recalculator, certificates; or all.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until nothing is left to handle.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say by service and topic how many records are still to be handled; 0 everywhere: all is done."""
    from ops.target import current
    from shared.contracts.topics import SERVICES

    for service in services or ():
        if service not in SERVICES:
            raise OperatorError(f"there is no service {service!r}; there are {', '.join(SERVICES)}")
    asked = [service for service in SERVICES if not services or service in services]
    behind = run(_lag(current(), asked, wait=wait), interrupted="nothing was changed")
    lines = [(service, topic, records) for service in asked for topic, records in behind[service].items()]
    if as_json:
        print_json([{"service": service, "topic": topic, "records": records} for service, topic, records in lines])
        return
    wide = max(len(topic) for _, topic, _ in lines)
    for service, topic, records in lines:
        typer.echo(f"{service:<12}  {topic:<{wide}}  {records:>9,}")


async def _lag(target: "Target", services: "Sequence[str]", *, wait: bool) -> "Mapping[str, Mapping[str, int]]":
    from ops.offsets import GroupOffsets

    async with GroupOffsets(target) as offsets:
        if wait:
            await _none_left(offsets, services)
        return {service: await _behind(offsets, service) for service in services}


async def _none_left(offsets: "GroupOffsets", services: "Sequence[str]") -> None:
    """Show what is left, until it is nothing."""
    import asyncio

    from rich.progress import Progress, TextColumn

    out = console()
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[still]}"))
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        most = dict.fromkeys(services, 1)
        tasks = {service: progress.add_task(service, total=1, still="") for service in services}
        while True:
            left = {service: sum((await _behind(offsets, service)).values()) for service in services}
            for service, records in left.items():
                most[service] = max(most[service], records)
                still = await _still(offsets, service, records)
                progress.update(tasks[service], total=most[service], completed=most[service] - records, still=still)
            if not any(left.values()):
                return
            await asyncio.sleep(_ASK_SECONDS)


async def _behind(offsets: "GroupOffsets", service: str) -> "Mapping[str, int]":
    """How many records of each of its topics this service has still to handle.

    Raises:
        OperatorError: a topic is missing: nobody is "0 behind" in it.
    """
    from shared.contracts.topics import consumed_by

    behind = await offsets.behind_in(service)
    if missing := [topic for topic in consumed_by(service) if topic not in behind]:
        raise OperatorError(f"the topic {missing[0]} is not there: `lesson-progress topics diff` says what else is not")
    return behind


async def _still(offsets: "GroupOffsets", service: str, left: int) -> str:
    """What is written beside the bar of a service: nobody works off what is left where no replica runs."""
    if not left:
        return "nothing left"
    running = await offsets.members(service)
    return f"{left:,} left" if running else f"{left:,} left, and {service} is not running"
