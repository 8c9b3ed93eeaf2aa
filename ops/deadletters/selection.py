"""Which dead letters are meant: by position, error, key, service, type, time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

from ops.deadletters.letter import Known, State
from ops.errors import OperatorError
from ops.moments import moment as typed
from shared.contracts.topics import SERVICES, Service
from shared.kafka.deadletter import Position

_POSITION = re.compile(r"([A-Za-z0-9._-]+):(\d{1,9}):(\d{1,19})")
_HINT = "is no time: give 30m, 2h or 3d (ago), or a moment such as 2027-01-15T08:00 (UTC)"


@dataclass(frozen=True, slots=True)
class Selection:
    """Every condition that is given must hold; `since` and `until` are epoch ms of when a record first failed."""

    positions: frozenset[Position] = frozenset()
    services: tuple[Service, ...] = SERVICES
    error: str | None = None
    key: bytes | None = None
    type: str | None = None
    since: int | None = None
    until: int | None = None

    @property
    def named(self) -> bool:
        """Whether letters are named one by one, and not found by what they have in common."""
        return bool(self.positions)

    def takes(self, known: Known) -> bool:
        """Whether this letter is meant."""
        letter = known.letter
        return (
            (not self.positions or letter.position in self.positions or letter.stands in self.positions)
            and letter.service in self.services
            and self.error in (None, letter.error)
            and self.key in (None, letter.key)
            and self.type in (None, letter.type)
            and (self.since is None or letter.died_at >= self.since)
            and (self.until is None or letter.died_at < self.until)
        )

    def shows(self, known: Known, *, discarded: bool) -> bool:
        """Whether a list holds it: what was put away is there where it is asked for, or named."""
        return self.takes(known) and (discarded or self.named or known.state is not State.DISCARDED)


def selection(
    positions: Sequence[str] = (),
    *,
    service: str | None = None,
    error: str | None = None,
    key: str | None = None,
    message_type: str | None = None,
    since: str | None = None,
    until: str | None = None,
    now: int,
) -> Selection:
    """What the operator's words mean; `now` is epoch milliseconds.

    Raises:
        OperatorError: one of them means nothing.
    """
    chosen: tuple[Service, ...] = tuple(s for s in SERVICES if service in (None, s))
    if not chosen:
        raise OperatorError(f"there is no service {service!r}; give one of {', '.join(SERVICES)}")
    return Selection(
        positions=frozenset(map(position, positions)),
        services=chosen,
        error=error,
        key=None if key is None else key.encode(),
        type=message_type,
        since=moment(since, now=now),
        until=moment(until, now=now),
    )


def position(said: str) -> Position:
    """The position that is named.

    Raises:
        OperatorError: it is none.
    """
    found = _POSITION.fullmatch(said)
    if found is None:
        raise OperatorError(f"{said!r} is no position: give TOPIC:PARTITION:OFFSET, as `dead-letters list` prints it")
    return Position(found[1], int(found[2]), int(found[3]))


def moment(said: str | None, *, now: int) -> int | None:
    """A moment in epoch milliseconds: `2h` ago, or an ISO 8601 time, in UTC where it names no zone.

    Raises:
        OperatorError: it is neither.
    """
    return None if said is None else typed(said, now=now, hint=_HINT, zone=UTC)
