"""`dead-letters` at work: the survey, what is done about it, and how far it came."""

import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from ops.deadletters.letter import Known
from ops.deadletters.planning import Plan, Rule, absent, plan, taken
from ops.deadletters.reading import bar, records_of, survey
from ops.deadletters.selection import Selection
from ops.deadletters.sending import Sent
from ops.errors import OperatorError
from ops.target import Target
from shared.kafka.deadletter import Position
from shared.kafka.records import Record

#: Does something about letters, notes in `Sent` what arrived, and tells how many that is.
Deed = Callable[[Target, Iterable[Known], Sent, Callable[[int], None]], Awaitable[None]]


@dataclass(slots=True)
class Listing:
    """The first letters that are meant, and how many there are of each state."""

    letters: list[Known] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)


async def listed(target: Target, wanted: Selection, *, limit: int, discarded: bool, out: Console) -> Listing:
    """The dead letters that are meant, oldest first.

    Raises:
        OperatorError: the broker is away, or a letter that was named is not there.
    """
    made = Listing()
    async with survey(target, wanted.services, out) as index:
        for known in (k for k in index.letters() if wanted.shows(k, discarded=discarded)):
            made.states[str(known.state)] += 1
            if len(made.letters) < limit:
                made.letters.append(known)
    if wanted.named and not made.letters:
        raise OperatorError(absent(wanted.positions))
    return made


async def one(target: Target, position: Position, out: Console) -> tuple[Known, Record]:
    """One dead letter and its record.

    Raises:
        OperatorError: the broker is away, or the letter is not there.
    """
    wanted = Selection(positions=frozenset([position]))
    [known] = (await listed(target, wanted, limit=1, discarded=True, out=out)).letters
    async with aclosing(records_of(target, [known])) as records:
        async for _, record in records:
            if record is not None:
                return known, record
    raise OperatorError(absent([position]))


def write_value(path: Path, value: bytes | None) -> None:
    """Write a value, byte for byte, to a new file that its owner alone may read.

    Raises:
        OperatorError: there is no value, or the file cannot be made.
    """
    if value is None:
        raise OperatorError(f"there is no value to write to {path}: it is null, or was too large to be kept")
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(value)
    except FileExistsError:
        raise OperatorError(f"{path} is there already; name a file that is not") from None
    except OSError as failure:
        raise OperatorError(f"{path} cannot be written: {failure.strerror}") from None


async def carried_out(
    target: Target,
    wanted: Selection,
    rule: Rule,
    deed: Deed | None,
    *,
    limit: int | None,
    sent: Sent,
    out: Console,
) -> Plan:
    """Do something about the letters that are meant, or, without a deed, only say which they are.

    Raises:
        OperatorError: the broker is away or did not take a record, or every letter that was named is to be left alone.
    """
    async with survey(target, wanted.services, out) as index:
        made = plan(index.letters(), wanted, rule, limit)
        if deed is not None and (count := made.taken.total()):
            # Asked for once more and taken one by one: what is to be done is never held in memory, but for names.
            if wanted.named:
                sent.waiting = [known.letter.position for known in taken(index.letters(), wanted, rule, limit)]
            with bar(out, "sending") as step, _said_how_far(sent):
                letters = taken(index.letters(), wanted, rule, limit)
                await deed(target, letters, sent, lambda done: step(done, count))
    return made


@contextmanager
def _said_how_far(sent: Sent) -> Iterator[None]:
    """Whatever ends the sending, its sentence says how far it came."""
    try:
        yield
    except OperatorError as failure:
        raise OperatorError(f"{failure}; {sent.so_far}") from failure
