"""Dead letters: the record's bytes as received, and appended what went wrong, for operators alone."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from shared.contracts.topics import DEAD_LETTER_BYTES, replays_of
from shared.kafka.records import Record, last_header
from shared.kafka.retries import Attempts

ORIGINAL_TOPIC = "x-dead-letter-topic"
ORIGINAL_PARTITION = "x-dead-letter-partition"
ORIGINAL_OFFSET = "x-dead-letter-offset"
ORIGINAL_TIMESTAMP = "x-dead-letter-timestamp"
FIRST_FAILED_AT = "x-dead-letter-first-failed-at"
#: How often the record has been replayed; believed on a service's replays alone.
REPLAYS = "x-dead-letter-replays"
VALUE_SHA256 = "x-dead-letter-value-sha256"
VALUE_BYTES = "x-dead-letter-value-bytes"
#: The last header of an operator's mark, and of nothing else: a service appends its own behind whatever a sender wrote.
DISCARDED_AT = "x-dead-letter-discarded-at"
REASON = "x-dead-letter-reason"
#: No number in a header is larger than the largest offset.
_LARGEST = 2**63 - 1
_DIGITS = len(str(_LARGEST))
#: Room for the protocol's own framing of one record within its topic's limit.
_FRAMING_BYTES = 1024

Header = tuple[str, bytes | None]


class DeadLetter:
    """One dead letter, ready to publish: whole, without its value, or, when even that is too large, a note of it."""

    __slots__ = ("headers", "key", "value", "value_dropped")

    def __init__(self, record: Record, *, received: Sequence[Header], headers: Sequence[Header]) -> None:
        self.key: bytes | None = record.key
        self.value: bytes | None = record.value
        self.headers: list[Header] = [*received, *headers]
        self.value_dropped = self._too_large()
        if self.value_dropped:
            digest = _digest(record.value)
            self.value = None
            self.headers += digest
            if self._too_large():
                # Compression lets a record in that is far larger than its topic's limit; it must not stay for ever.
                self.key, self.headers = None, [*headers, *digest]

    def _too_large(self) -> bool:
        headers = sum(len(name.encode()) + len(value or b"") + 10 for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers > DEAD_LETTER_BYTES - _FRAMING_BYTES


def _digest(value: bytes | None) -> list[Header]:
    if value is None:
        return []
    return [
        (VALUE_SHA256, hashlib.sha256(value).hexdigest().encode()),
        (VALUE_BYTES, str(len(value)).encode()),
    ]


class Position(NamedTuple):
    """Where a record stands: what identifies a dead letter is where the record stood at first."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


def number_in(headers: Sequence[Header], name: str) -> int | None:
    """The number that the last header of this name holds; None where it holds none."""
    text = (last_header(headers, name) or b"").decode("ascii", "replace")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None
    return number if number is not None and number <= _LARGEST else None


def position_in(headers: Sequence[Header]) -> Position | None:
    """The position that a dead letter's or a replay's own headers name; None where they name none."""
    topic = (last_header(headers, ORIGINAL_TOPIC) or b"").decode("ascii", "replace")
    partition, offset = number_in(headers, ORIGINAL_PARTITION), number_in(headers, ORIGINAL_OFFSET)
    return Position(topic, partition, offset) if topic and partition is not None and offset is not None else None


def replays_in(headers: Sequence[Header]) -> int:
    """How often the record was replayed, as the last of these headers says."""
    return number_in(headers, REPLAYS) or 0


def without_letter(headers: Sequence[Header]) -> Sequence[Header]:
    """The headers as the record had them at first: what its last dead letter and its replay appended is left out."""
    places = [place for place, (name, _) in enumerate(headers) if name == ORIGINAL_TOPIC]
    return headers[: places[-1]] if places else headers


def dead_letter(
    record: Record, *, group: str, failure: Exception, attempts: Attempts, at: int, version: str
) -> DeadLetter:
    """The dead letter of a record that `group` could not handle.

    The error is named by its class, never by its message: a message may hold what the sender wrote. A replay that
    dies again keeps the position it had at first, the moment it first failed, and the count of its replays; who sends a
    count elsewhere has none.
    """
    known = position_in(record.headers) if record.topic == replays_of(group) else None
    position = known or Position(record.topic, record.partition, record.offset)
    appended = {
        ORIGINAL_TOPIC: position.topic,
        ORIGINAL_PARTITION: position.partition,
        ORIGINAL_OFFSET: position.offset,
        ORIGINAL_TIMESTAMP: at,
        "x-dead-letter-group": group,
        "x-dead-letter-error": type(failure).__name__,
        "x-dead-letter-attempts": attempts.count,
        FIRST_FAILED_AT: attempts.first_failed_at,
        "x-dead-letter-version": version,
    }
    if known is not None:
        appended[REPLAYS] = replays_in(record.headers)
        before = number_in(record.headers, FIRST_FAILED_AT)
        appended[FIRST_FAILED_AT] = attempts.first_failed_at if before is None else before
    elif last_header(record.headers, REPLAYS) is not None:
        appended[REPLAYS] = 0
    headers = [(name, str(value).encode("ascii", "backslashreplace")) for name, value in appended.items()]
    received = record.headers if known is None else without_letter(record.headers)
    return DeadLetter(record, received=received, headers=headers)
