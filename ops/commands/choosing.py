"""Which dead letters a command is about: the options that choose, and the selection that they make."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ops.errors import OperatorError

if TYPE_CHECKING:
    from ops.deadletters.selection import Selection

# What does the work is imported when a command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415

PositionsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="POSITION", help="TOPIC:PARTITION:OFFSET of the record, or of its dead letter."),
]
ServiceOption = Annotated[str | None, typer.Option("--service", help="Those of this service alone.")]
ErrorOption = Annotated[str | None, typer.Option("--error", help="Those with this class of error.")]
KeyOption = Annotated[str | None, typer.Option("--key", help="Those with this key.")]
TypeOption = Annotated[str | None, typer.Option("--type", help="Those of this message type.")]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="Those that first failed since then: 2h (ago), or 2027-01-15T08:00 (UTC).")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="Those that first failed before then.")]


def wanted(
    positions: list[str] | None,
    service: str | None,
    error: str | None,
    key: str | None,
    message_type: str | None,
    since: str | None,
    until: str | None,
) -> "Selection":
    """Those that these options choose; all of them where none is given.

    Raises:
        OperatorError: one of them cannot be read.
    """
    from ops.deadletters.selection import selection

    return selection(
        positions or (), service=service, error=error, key=key, message_type=message_type, since=since, until=until,
        now=now(),
    )  # fmt: skip


def chosen(those: "Selection", verb: str) -> "Selection":
    """The same, for what is never done to all of them unasked.

    Raises:
        OperatorError: nothing chooses.
    """
    from ops.deadletters.selection import Selection

    if those == Selection():
        raise OperatorError(f"say which are to be {verb}: positions, or --service, --error, --key, --type, --since")
    return those


def now() -> int:
    """The time, epoch ms."""
    return time.time_ns() // 1_000_000
