"""Dead letters: each position once as a position, and the original's bytes where the original is still there."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from ops.verify.findings import Findings
from ops.verify.index import Death, Index, StoredLetter
from shared.contracts.topics import SERVICES, replays_of
from shared.kafka.deadletter import (
    DISCARDED_AT,
    ORIGINAL_TOPIC,
    VALUE_BYTES,
    VALUE_SHA256,
    DeadLetter,
    Header,
    position_in,
    replays_in,
    without_letter,
)
from shared.kafka.records import Record
from shared.verification import Defect

_REPLAYS = frozenset(replays_of(service) for service in SERVICES)


def place_of(topic: str, partition: int, offset: int) -> str:
    """A position, for people."""
    return f"{topic}:{partition}:{offset}"


def position_of(record: Record) -> str:
    """Where a record stands, for people."""
    return place_of(record.topic, record.partition, record.offset)


def keep(letters: Iterable[Record], index: Index, findings: Findings) -> None:
    """Note a batch of dead letters by what they name; a second copy of one is allowed, and counted."""
    for letter in letters:
        if letter.headers and letter.headers[-1][0] == DISCARDED_AT:
            findings.counts["dead_letters_discarded"] += 1
            continue
        findings.counts["dead_letters"] += 1
        position = position_in(letter.headers)
        if position is None:
            findings.defect(Defect.DEAD_LETTER_ALTERED, position_of(letter), "it names no position")
            continue
        death = Death(*position, replays_in(letter.headers))
        digest = _digest(letter.key, letter.value, letter.headers)
        earlier = index.add_letter(StoredLetter(death, digest, _appended(letter)))
        if earlier is None:
            continue
        findings.counts["dead_letter_copies"] += 1
        if _differs(letter, earlier):
            note = f"its copies differ, one is {position_of(letter)}"
            findings.defect(Defect.DEAD_LETTER_ALTERED, place_of(*position), note)


def found(records: Sequence[Record], index: Index) -> dict[int, StoredLetter]:
    """The dead letters of these records of one partition, by offset."""
    first, last = records[0], records[-1]
    if first.topic not in _REPLAYS:
        return index.letters(first.topic, first.partition, first.offset, last.offset)
    deaths = {record.offset: death_of(record) for record in records}
    letters = {offset: index.letter(death) for offset, death in deaths.items()}
    return {offset: letter for offset, letter in letters.items() if letter is not None}


def death_of(record: Record) -> Death:
    """What names the dead letter of this record, if it has one."""
    known = position_in(record.headers) if record.topic in _REPLAYS else None
    if known is None:
        return Death(record.topic, record.partition, record.offset, 0)
    return Death(*known, replays_in(record.headers))


def altered(record: Record, letter: StoredLetter) -> bool:
    """Whether a dead letter is not what its record makes."""
    replayed = record.topic in _REPLAYS and position_in(record.headers) is not None
    received = without_letter(record.headers) if replayed else record.headers
    made = DeadLetter(record, received=received, headers=letter.appended)
    return _digest(made.key, made.value, made.headers) != letter.digest


def _differs(letter: Record, earlier: StoredLetter) -> bool:
    """Whether two letters of one death hold different originals; what the service appended to them may differ."""
    of_the_value = [h for h in letter.headers[_beginning(letter) :] if h[0] in (VALUE_SHA256, VALUE_BYTES)]
    headers = [*letter.headers[: _beginning(letter)], *earlier.appended, *of_the_value]
    return _digest(letter.key, letter.value, headers) != earlier.digest


def _appended(letter: Record) -> tuple[Header, ...]:
    return tuple(h for h in letter.headers[_beginning(letter) :] if h[0] not in (VALUE_SHA256, VALUE_BYTES))


def _beginning(letter: Record) -> int:
    """Where the appended headers begin; a sender may have written some of these names too."""
    return max(place for place, (name, _) in enumerate(letter.headers) if name == ORIGINAL_TOPIC)


def _digest(key: bytes | None, value: bytes | None, headers: Iterable[Header]) -> bytes:
    return blake2b(repr((key, value, list(headers))).encode(), digest_size=16).digest()
