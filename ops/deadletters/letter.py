"""What stands in the topics of dead letters and of replays, read for an operator: letters, replays, marks."""

from dataclasses import dataclass
from enum import StrEnum

from ops.deadletters.masking import readable
from shared.contracts.topics import Service
from shared.kafka.deadletter import (
    DISCARDED_AT,
    ORIGINAL_TIMESTAMP,
    REASON,
    VALUE_SHA256,
    Position,
    number_in,
    position_in,
    replays_in,
)
from shared.kafka.records import Record, last_header

#: More replays of one record are refused: what died four times needs a person, not a fifth try.
MOST_REPLAYS = 3
_TYPE_LENGTH = 100


class State(StrEnum):
    """Where a dead letter stands; what a person has still to look at is open or came back."""

    OPEN = "open"
    #: Replayed, and died again.
    CAME_BACK = "came back"
    #: Replayed; the service has not finished it yet.
    REPLAYED = "replayed"
    #: Replayed, and then recorded or rejected.
    HANDLED = "handled"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Letter:
    """One death of a record. Times are epoch milliseconds; `bytes` is None where the value is null or was dropped."""

    service: Service
    #: Where the record stood at first: what identifies it, however often it died and was copied.
    position: Position
    #: Where this letter stands.
    stands: Position
    error: str
    type: str
    key: bytes | None
    time: int
    died_at: int
    attempts: int
    version: str
    #: How often it had been replayed when it died.
    replays: int
    bytes: int | None
    value_dropped: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """An operator's note that a record's deaths so far need no more attention."""

    position: Position
    replays: int
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class Known:
    """A dead letter with everything that followed."""

    letter: Letter
    #: How many letters of this one death there are: a crash before the commit leaves a second.
    copies: int
    #: How often it has been replayed altogether.
    replays: int
    state: State
    mark: Mark | None = None

    @property
    def row(self) -> dict[str, object]:
        """For machines and tables; nothing in it is a token."""
        letter = self.letter
        mark = self.mark
        return {
            "position": str(letter.position),
            "letter": str(letter.stands),
            "service": letter.service,
            "error": letter.error,
            "type": letter.type,
            "key": None if letter.key is None else readable(letter.key),
            "recordTime": letter.time,
            "firstFailedAt": letter.died_at,
            "attempts": letter.attempts,
            "version": letter.version,
            "copies": self.copies,
            "replays": self.replays,
            "state": str(self.state),
            "valueBytes": letter.bytes,
            "valueDropped": letter.value_dropped,
            "discarded": None if mark is None else {"reason": mark.reason, "at": mark.at},
        }


def read(service: Service, record: Record) -> Letter | Mark | None:
    """What a record of a service's dead letters is; None where it is neither a letter nor a mark."""
    position = position_in(record.headers)
    if position is None:
        return None
    if record.headers[-1][0] == DISCARDED_AT:
        reason = _text(record, REASON)
        return Mark(position, replays_in(record.headers), reason, _number(record, DISCARDED_AT))
    return Letter(
        service=service,
        position=position,
        stands=Position(record.topic, record.partition, record.offset),
        error=_text(record, "x-dead-letter-error"),
        type=_text(record, "ce_type")[:_TYPE_LENGTH],
        key=record.key,
        time=_number(record, ORIGINAL_TIMESTAMP),
        died_at=_number(record, "x-dead-letter-first-failed-at"),
        attempts=_number(record, "x-dead-letter-attempts"),
        version=_text(record, "x-dead-letter-version"),
        replays=replays_in(record.headers),
        bytes=None if record.value is None else len(record.value),
        value_dropped=record.value is None and last_header(record.headers, VALUE_SHA256) is not None,
    )


def _text(record: Record, name: str) -> str:
    return readable(last_header(record.headers, name) or b"")


def _number(record: Record, name: str) -> int:
    return number_in(record.headers, name) or 0
