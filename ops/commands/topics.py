"""`topics`: the cards, what differs from them, and making it so; who needs which rights."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.options import JsonOption, print_json, results, run
from ops.errors import OperatorError
from shared.contracts.topics import TOPICS, Topic, reply_topic

if TYPE_CHECKING:
    from shared.kafka.provisioning import Applied, Asked, Drift

# What does the work is imported when a command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415

topics = typer.Typer(help="The topics, from their cards.", no_args_is_help=True)

RepliesOption = Annotated[
    list[str] | None, typer.Option("--reply", help="The private reply topic of this gateway too; can be repeated.")
]
PartitionsOption = Annotated[
    list[str] | None,
    typer.Option("--partitions", metavar="TOPIC=N", help="Other than on the card, exactly so many; can be repeated."),
]
ReplicationOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=9, help="Replicas of each partition (default: as there are; three where there are brokers)."
    ),
]


@topics.command()
def show(as_json: JsonOption = False) -> None:
    """Show every topic's card."""
    if as_json:
        print_json([asdict(topic) for topic in TOPICS.values()])
        return
    from rich.table import Table

    from ops.tables import exact, print_table, prose

    headings = ("topic", "key", "types", "producers", "consumers", "partitions")
    table = Table(*map(exact, headings), prose("purpose"))
    for t in TOPICS.values():
        types, producers, consumers = ("\n".join(names) for names in (t.types, t.producers, t.consumers))
        table.add_row(t.name, t.key, types, producers, consumers, str(t.partitions), t.purpose)
    print_table(table, results())


@topics.command()
def create(
    reply: Annotated[
        list[str] | None, typer.Option(help="Only the private reply topic of this gateway; can be repeated.")
    ] = None,
    replication: ReplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create the topics that are missing, and change no other."""
    from ops.target import current
    from shared.kafka.provisioning import create_missing

    wanted = _replies(reply) or list(TOPICS.values())
    target = current()
    step = partial(create_missing, target.settings.kafka, replicas=replication, topics=wanted)
    created = run(target.asked(step), interrupted="topics that were created stay; the same command creates the others")
    if as_json:
        print_json(created)
    else:
        typer.echo("\n".join(created) if created else "nothing is missing")


@topics.command()
def diff(
    reply: RepliesOption = None,
    partitions: PartitionsOption = None,
    replication: ReplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how the broker's topics differ from their cards; ends with exit code 1 when they do."""
    from ops.target import current
    from shared.kafka.provisioning import drift

    cards, target = _wanted(reply, partitions), current()
    step = partial(drift, target.settings.kafka, topics=cards, asked=_asked(partitions, replication))
    found = run(target.asked(step), interrupted="nothing was changed")
    if as_json:
        print_json([asdict(d) for d in found])
    for d in found if not as_json else ():
        typer.echo(d.irreparable or d.sentence)
    if differences := [d for d in found if not d.kept]:
        count = "1 difference" if len(differences) == 1 else f"{len(differences)} differences"
        mends = "" if any(d.irreparable for d in differences) else "; `lesson-progress topics apply` mends them"
        raise OperatorError(f"{count} between the topics and their cards{mends}")
    results(as_json=as_json).print("The topics are as their cards say.")


@topics.command()
def apply(
    reply: RepliesOption = None,
    partitions: PartitionsOption = None,
    replication: ReplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the topics as their cards say: create, add partitions, alter. `diff` says before what it would do.

    Nothing is ever taken away: to ask for fewer partitions than there are is refused, and then nothing is changed.
    """
    from ops.target import current
    from shared.kafka.provisioning import CannotApply
    from shared.kafka.provisioning import apply as applied_to

    cards, target = _wanted(reply, partitions), current()
    step = partial(applied_to, target.settings.kafka, topics=cards, asked=_asked(partitions, replication))
    try:
        done = run(target.asked(step), interrupted="what was changed stays; the same command changes the rest")
    except CannotApply as refusal:
        raise OperatorError(f"nothing was changed: {refusal}") from None
    if as_json:
        print_json({"created": done.created, "changed": [asdict(d) for d in done.changed]})
    else:
        _say(done)


@topics.command()
def rights(
    gateway: Annotated[list[str] | None, typer.Option(help="A gateway's principal; can be repeated.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the script that gives every principal its rights on the broker (kafka-acls.sh)."""
    from ops.rights import rights as all_rights
    from ops.rights import script

    try:
        if as_json:
            print_json([asdict(right) for right in all_rights(gateway or ())])
        else:
            typer.echo(script(gateway or ()), nl=False)
    except ValueError as problem:
        raise OperatorError(str(problem)) from None


def _asked(partitions: Sequence[str] | None, replication: int | None) -> "Asked":
    from shared.kafka.provisioning import Asked

    return Asked(replication, frozenset(said.rpartition("=")[0] for said in partitions or ()))


def _wanted(reply: Sequence[str] | None, partitions: Sequence[str] | None) -> list[Topic]:
    cards = {topic.name: topic for topic in (*TOPICS.values(), *_replies(reply))}
    for said in partitions or ():
        name, _, count = said.rpartition("=")
        if name not in cards or not count.isdecimal() or int(count) < 1:
            raise OperatorError(f"{said!r} is not TOPIC=N: one of our topics and how many partitions it has")
        cards[name] = replace(cards[name], partitions=int(count))
    return list(cards.values())


def _replies(gateways: Sequence[str] | None) -> list[Topic]:
    try:
        return [reply_topic(gateway) for gateway in gateways or ()]
    except ValueError as problem:
        raise OperatorError(str(problem)) from None


def _say(done: "Applied") -> None:
    for name in done.created:
        typer.echo(f"{name}: created")
    for change in done.changed:
        typer.echo(_change(change))
    if not (done.created or done.changed):
        typer.echo("nothing to do: the topics are as their cards say")


def _change(change: "Drift") -> str:
    return f"{change.topic}: {change.setting} is {change.expected} now, was {change.found}"
