"""What a replay or a discard will do, counted before it is done: nothing is sent that was not said."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from ops.deadletters.letter import MOST_REPLAYS, Known, State
from ops.deadletters.selection import Selection
from ops.errors import OperatorError
from shared.kafka.deadletter import Position


class Left(StrEnum):
    """Why a letter is left alone."""

    DROPPED = "its value was too large to be kept: its sender has to send it again, smaller"
    EXHAUSTED = f"it was replayed {MOST_REPLAYS} times: mend its cause and have it sent anew, or discard it"
    DISCARDED = "it is discarded"
    SENT = "it was sent already"
    WAITING = "its replay is not handled yet"


#: Whether a letter is left alone, and why; the flag says that it was named, not found.
Rule = Callable[[Known, bool], Left | None]


def left_by_replay(known: Known, named: bool) -> Left | None:
    """What keeps a letter from being sent again: naming it helps where only caution does."""
    if known.letter.value_dropped:
        return Left.DROPPED
    if known.replays >= MOST_REPLAYS:
        return Left.EXHAUSTED
    if known.state is State.DISCARDED and not named:
        return Left.DISCARDED
    if known.state in (State.REPLAYED, State.HANDLED) and not named:
        return Left.SENT
    return None


def left_by_discard(known: Known, _named: bool) -> Left | None:
    """What keeps a letter from being put away."""
    if known.state is State.DISCARDED:
        return Left.DISCARDED
    return Left.WAITING if known.state is State.REPLAYED else None


@dataclass(slots=True)
class Plan:
    """How many letters are taken, by service and error, and why others are left."""

    taken: Counter[tuple[str, str]] = field(default_factory=Counter)
    left: Counter[Left] = field(default_factory=Counter)

    @property
    def row(self) -> dict[str, object]:
        """For machines."""
        taken = [{"service": s, "error": e, "letters": n} for (s, e), n in sorted(self.taken.items())]
        return {"letters": self.taken.total(), "by": taken, "left": {str(why): n for why, n in self.left.items()}}


def taken(letters: Iterable[Known], wanted: Selection, rule: Rule, limit: int | None) -> Iterator[Known]:
    """The letters that something is done about, in order, at most `limit`."""
    chosen = (k for k in letters if wanted.takes(k) and rule(k, wanted.named) is None)
    return islice(chosen, limit)


def plan(letters: Iterable[Known], wanted: Selection, rule: Rule, limit: int | None) -> Plan:
    """What would be done.

    Raises:
        OperatorError: a letter that was named is not there, or all that were named are to be left alone.
    """
    made, found, alone = Plan(), set[Position](), list[str]()
    for known in letters:
        if not wanted.takes(known):
            continue
        if wanted.named:
            found |= {known.letter.position, known.letter.stands}
        why = rule(known, wanted.named)
        if why is not None:
            made.left[why] += 1
            if wanted.named:
                alone.append(f"{known.letter.position} is left alone, since {why}")
        elif limit is None or made.taken.total() < limit:
            made.taken[known.letter.service, known.letter.error] += 1
    if missing := wanted.positions - found:
        raise OperatorError(absent(missing))
    if alone and not made.taken:
        raise OperatorError(f"nothing was done: {'; '.join(alone)}")
    return made


def absent(positions: Iterable[Position]) -> str:
    """The sentence about positions at which there is no dead letter."""
    names = ", ".join(sorted(map(str, positions)))
    return f"there is no dead letter of {names}; `lesson-progress dead-letters list --all` shows those there are"
