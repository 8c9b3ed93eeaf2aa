"""`dead-letters`: what services could not handle: found, shown, sent again once the cause is mended, or put away."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.choosing import (
    ErrorOption,
    KeyOption,
    PositionsArgument,
    ServiceOption,
    SinceOption,
    TypeOption,
    UntilOption,
    chosen,
    now,
    wanted,
)
from ops.commands.options import JsonOption, console, print_json, results, run, say
from ops.errors import OperatorError

if TYPE_CHECKING:
    from ops.deadletters.planning import Plan, Rule
    from ops.deadletters.selection import Selection
    from ops.deadletters.sending import Sent
    from ops.deadletters.session import Deed

# What does the work is imported when a command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415

dead_letters = typer.Typer(help="What services could not handle: list, show, replay, discard.", no_args_is_help=True)

_READING = "nothing was changed"
_DONE = {
    "replay": "{:,} sent; `lesson-progress dead-letters list` says what becomes of them",
    "discard": "{:,} put away; `lesson-progress dead-letters list --all` shows them",
}
_REASON_LENGTH = 500

MostOption = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, the oldest first.")]
RateOption = Annotated[float, typer.Option("--rate", min=0.1, max=10_000, help="At most so many a second.")]


@dead_letters.command("list")
def list_command(
    positions: PositionsArgument = None,
    service: ServiceOption = None,
    error: ErrorOption = None,
    key: KeyOption = None,
    message_type: TypeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many, the oldest first.")] = 100,
    everything: Annotated[bool, typer.Option("--all", help="Discarded ones too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List dead letters: where each was, why it died, how often it was replayed, and what became of it."""
    from ops.deadletters.session import listed
    from ops.deadletters.view import table
    from ops.tables import print_table
    from ops.target import current

    those = wanted(positions, service, error, key, message_type, since, until)
    step = listed(current(), those, limit=limit, discarded=everything, out=console())
    found, out = run(step, interrupted=_READING), results(as_json=as_json)
    if as_json:
        print_json([known.row for known in found.letters])
    elif found.letters:
        print_table(table(found.letters), out)
    counts = ", ".join(f"{count:,} {state}" for state, count in sorted(found.states.items()))
    say(out)(f"dead letters: {counts or 'none'}")
    if (total := found.states.total()) > len(found.letters):
        say(out)(f"{len(found.letters):,} of {total:,} are shown; --limit shows more")


@dead_letters.command()
def show(
    position: Annotated[
        str, typer.Argument(metavar="POSITION", help="TOPIC:PARTITION:OFFSET of the record, or of its dead letter.")
    ],
    raw: Annotated[
        Path | None, typer.Option("--raw", help="Write the value, byte for byte, to this new file, for you alone.")
    ] = None,
    characters: Annotated[int, typer.Option(min=0, help="Show so much of the value.")] = 2_000,
    as_json: JsonOption = False,
) -> None:
    """Show one dead letter: its headers and the beginning of its value, without tokens."""
    from ops.deadletters.selection import position as named
    from ops.deadletters.session import one, write_value
    from ops.deadletters.view import in_full, lines_of
    from ops.target import current

    place = named(position)
    out = console()
    known, record = run(one(current(), place, out), interrupted=_READING)
    shown = in_full(known, record, characters=characters)
    if as_json:
        print_json(shown)
    else:
        typer.echo("\n".join(lines_of(shown)))
    if raw is not None:
        write_value(raw, record.value)
        out.print(f"the value is in {raw}, as it came: it may hold what nobody else should see", soft_wrap=True)


@dead_letters.command()
def replay(
    positions: PositionsArgument = None,
    service: ServiceOption = None,
    error: ErrorOption = None,
    key: KeyOption = None,
    message_type: TypeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: MostOption = None,
    rate: RateOption = 50.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; otherwise it is only said what would be done.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters again, to their own service alone. Mend the cause first: a fourth replay is refused.

    What was sent already, or discarded, is sent again only when it is named by its position.
    """
    from ops.deadletters.planning import left_by_replay
    from ops.deadletters.sending import Pace, send_again

    those = chosen(wanted(positions, service, error, key, message_type, since, until), "replayed")
    deed = partial(send_again, pace=Pace(rate)) if yes else None
    _carry_out("replay", those, left_by_replay, deed, limit=limit, as_json=as_json)


@dead_letters.command()
def discard(
    positions: PositionsArgument = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept beside each letter, so no secrets.")] = "",
    service: ServiceOption = None,
    error: ErrorOption = None,
    key: KeyOption = None,
    message_type: TypeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: MostOption = None,
    rate: RateOption = 500.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; otherwise it is only said what would be done.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Put dead letters away that need nothing more: they are listed with --all alone, and stay for their 14 days."""
    from ops.deadletters.planning import left_by_discard
    from ops.deadletters.sending import Pace, mark_discarded

    those = chosen(wanted(positions, service, error, key, message_type, since, until), "discarded")
    if not reason.strip() or len(reason) > _REASON_LENGTH:
        raise OperatorError(f'say why, in at most {_REASON_LENGTH} characters: --reason "…"')
    deed = partial(mark_discarded, pace=Pace(rate), reason=reason, at=now()) if yes else None
    _carry_out("discard", those, left_by_discard, deed, limit=limit, as_json=as_json)


def _carry_out(
    verb: str, those: "Selection", rule: "Rule", deed: "Deed | None", *, limit: int | None, as_json: bool
) -> None:
    from ops.deadletters.sending import Sent
    from ops.deadletters.session import carried_out
    from ops.target import current

    sent = Sent()
    step = carried_out(current(), those, rule, deed, limit=limit, sent=sent, out=console())
    made = run(step, interrupted=lambda: sent.so_far)
    _told(made, sent, verb, done=deed is not None, as_json=as_json)


def _told(made: "Plan", sent: "Sent", verb: str, *, done: bool, as_json: bool) -> None:
    from ops.deadletters.view import print_plan

    out = results(as_json=as_json)
    tell = say(out)
    if as_json:
        print_json({**made.row, "done": done, "sent": sent.acknowledged, "gone": sent.gone})
    else:
        print_plan(made, out, verb=verb)
    if sent.gone:
        tell(f"{sent.gone:,} were gone before they could be sent: their 14 days are over")
    if not made.taken:
        tell(f"there is nothing to {verb}")
    elif done:
        tell(_DONE[verb].format(sent.acknowledged))
    else:
        tell("nothing was done; repeat with --yes to do it")
