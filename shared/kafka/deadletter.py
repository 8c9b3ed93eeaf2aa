"""Dead letters: the record's bytes as received, and appended what went wrong, for operators alone."""

import hashlib
from collections.abc import Sequence

from shared.contracts.topics import DEAD_LETTER_BYTES
from shared.kafka.records import Record
from shared.kafka.retries import Attempts

ORIGINAL_TIMESTAMP = "x-dead-letter-timestamp"
#: Room for the protocol's own framing of one record within its topic's limit.
_FRAMING_BYTES = 1024

Header = tuple[str, bytes | None]


class DeadLetter:
    """One dead letter, ready to publish: whole, without its value, or, when even that is too large, a note of it."""

    __slots__ = ("headers", "key", "value", "value_dropped")

    def __init__(self, record: Record, *, headers: Sequence[Header]) -> None:
        self.key: bytes | None = record.key
        self.value: bytes | None = record.value
        self.headers: list[Header] = [*record.headers, *headers]
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
        ("x-dead-letter-value-sha256", hashlib.sha256(value).hexdigest().encode()),
        ("x-dead-letter-value-bytes", str(len(value)).encode()),
    ]


def dead_letter(
    record: Record, *, group: str, failure: Exception, attempts: Attempts, at: int, version: str
) -> DeadLetter:
    """The dead letter of a record that `group` could not handle.

    The error is named by its class, never by its message: a message may hold what the sender wrote.
    """
    appended = {
        "x-dead-letter-topic": record.topic,
        "x-dead-letter-partition": record.partition,
        "x-dead-letter-offset": record.offset,
        ORIGINAL_TIMESTAMP: at,
        "x-dead-letter-group": group,
        "x-dead-letter-error": type(failure).__name__,
        "x-dead-letter-attempts": attempts.count,
        "x-dead-letter-first-failed-at": attempts.first_failed_at,
        "x-dead-letter-version": version,
    }
    headers = [(name, str(value).encode("ascii", "backslashreplace")) for name, value in appended.items()]
    return DeadLetter(record, headers=headers)
