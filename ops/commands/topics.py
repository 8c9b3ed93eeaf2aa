"""`topics`: show the cards, create what is missing, check for drift."""

from dataclasses import asdict
from typing import Annotated

import typer

from ops.commands.options import JsonOption, console, print_json, run
from ops.errors import OperatorError
from shared.contracts.topics import TOPICS, reply_topic

# What does the work is imported when a command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415

topics = typer.Typer(help="The topics, from their cards.", no_args_is_help=True)


@topics.command()
def show(as_json: JsonOption = False) -> None:
    """Show every topic's card."""
    if as_json:
        print_json([asdict(topic) for topic in TOPICS.values()])
        return
    from rich.table import Column, Table

    headings = ("topic", "key", "types", "producers", "consumers", "partitions", "purpose")
    table = Table(*(Column(heading, overflow="fold") for heading in headings))
    for t in TOPICS.values():
        types, producers, consumers = ("\n".join(names) for names in (t.types, t.producers, t.consumers))
        table.add_row(t.name, t.key, types, producers, consumers, str(t.partitions), t.purpose)
    console().print(table)


@topics.command()
def create(
    reply: Annotated[str | None, typer.Option(help="A private reply topic for this gateway instead.")] = None,
    replication: Annotated[int, typer.Option(min=1, max=9, help="Replicas of each partition.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Create the topics that are missing."""
    from ops.target import current
    from shared.kafka.provisioning import create_missing

    try:
        wanted = [reply_topic(reply)] if reply else list(TOPICS.values())
    except ValueError as problem:
        raise OperatorError(str(problem)) from None
    servers = current().bootstrap_servers
    step = create_missing(servers, replication_factor=replication, topics=wanted)
    created = run(step, interrupted="topics that were created stay; the same command creates the others")
    if as_json:
        print_json(created)
    else:
        typer.echo("\n".join(created) if created else "nothing is missing")


@topics.command()
def check(as_json: JsonOption = False) -> None:
    """Compare the broker's topics with their cards; ends with exit code 1 when they differ."""
    from ops.target import current
    from shared.kafka.provisioning import drift

    differences = run(drift(current().bootstrap_servers), interrupted="nothing was changed")
    if as_json:
        print_json([asdict(d) for d in differences])
    for d in differences if not as_json else ():
        typer.echo(f"{d.topic}: {d.setting} is {d.found}, the card says {d.expected}")
    if differences:
        raise OperatorError(f"{len(differences)} differences between the topics and their cards")
    console().print("The topics are as their cards say.")
