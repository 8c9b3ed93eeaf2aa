"""Dead letters as people read them: a table, one letter in full, what would be done."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from ops.deadletters.letter import Known
from ops.deadletters.masking import readable, readable_header
from ops.deadletters.planning import Plan
from ops.tables import exact
from shared.kafka.records import Record

_LONGEST_TOKEN = 16 * 1024
_HEADINGS = ("position", "error", "type", "key", "first failed (UTC)", "copies", "replays", "state")


def table(letters: Sequence[Known]) -> Table:
    """One row a letter."""
    made = Table(*map(exact, _HEADINGS))
    for known in letters:
        letter, row = known.letter, known.row
        key = "null" if row["key"] is None else str(row["key"])
        made.add_row(
            str(letter.position), letter.error, letter.type, key, moment_of(letter.died_at),
            str(known.copies), str(known.replays), str(known.state),
        )  # fmt: skip
    return made


def in_full(known: Known, record: Record, *, characters: int) -> dict[str, object]:
    """One letter with its headers and the beginning of its value, without tokens."""
    value, cut = None, False
    if record.value is not None:
        # Cut only after it is masked, since the middle of a token is not recognised as one.
        text = readable(record.value[: 4 * characters + _LONGEST_TOKEN])
        value, cut = text[:characters], len(text) > characters
    headers = [[readable(name.encode()), readable_header(name, found)] for name, found in record.headers]
    return {**known.row, "headers": headers, "value": value, "valueCut": cut}


def lines_of(shown: dict[str, object]) -> Iterator[str]:
    """One letter for a person, line by line."""
    for name, said in shown.items():
        match name, said:
            case "headers", list():
                yield "headers:"
                yield from (f"  {header}: {text}" for header, text in said)
            case "value", str():
                yield f"value: {said}{' …' if shown['valueCut'] else ''}"
            case "recordTime" | "firstFailedAt", int():
                moment = moment_of(said)
                yield f"{name}: {said}" + (f" ({moment} UTC)" if moment != str(said) else "")
            case "valueCut", _:
                pass
            case _:
                yield f"{name}: {'null' if said is None else said}"


def print_plan(made: Plan, out: Console, *, verb: str) -> None:
    """Say what would be done, by service and error, and what is left alone."""
    for (service, error), count in sorted(made.taken.items()):
        out.print(f"{service}: {error}: {_letters(count)} to {verb}", soft_wrap=True)
    for why, count in made.left.items():
        out.print(f"{_letters(count)} left alone: {why}", soft_wrap=True)


def moment_of(epoch_millis: int) -> str:
    """A moment in UTC, to the second; the number itself where it is none: anybody may have written it."""
    try:
        return f"{datetime.fromtimestamp(epoch_millis / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return str(epoch_millis)


def _letters(count: int) -> str:
    return "1 letter" if count == 1 else f"{count:,} letters"
