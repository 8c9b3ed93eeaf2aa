"""Events: every id stands for one fact, every fact has its event, every event its fact."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

from pydantic import ValidationError

from ops.verify.findings import Findings
from ops.verify.index import EVENT, FACT, Entry, key_of
from ops.verify.judges import Judges
from ops.verify.letters import position_of
from shared.contracts.certificates import CertificateIssued, CertificateRevoked, NotificationCreated
from shared.contracts.envelope import rfc3339
from shared.contracts.progress import LessonCompleted
from shared.contracts.recalculator import CourseCompleted, EnrollmentProgressed
from shared.contracts.topics import SERVICES, TOPICS
from shared.contracts.values import Message
from shared.kafka.judging import Fact
from shared.kafka.records import Event, Record
from shared.verification import Defect

MESSAGES: dict[str, type[Message]] = {
    message.TYPE: message
    for message in (
        LessonCompleted,
        EnrollmentProgressed,
        CourseCompleted,
        CertificateIssued,
        CertificateRevoked,
        NotificationCreated,
    )
}


def publisher_of(topic: str) -> str | None:
    """The service whose events a topic carries; None for commands, replies, dead letters and replays."""
    card = TOPICS[topic]
    of_events = all(event_type in MESSAGES for event_type in card.types) and topic not in _REPAIRS
    return card.producers[0] if of_events and card.producers[0] in SERVICES else None


_REPAIRS = frozenset(name for name in TOPICS if name.endswith((".deadletters", ".replays")))


def of_facts(facts: Iterable[Fact], service: str) -> Iterable[Entry]:
    """The ledger's lines of stored facts: the events that must have been published."""
    for fact in facts:
        for event in fact.events:
            yield Entry(
                key_of(event.id), FACT, _expected(event, service), event.time, 0, None, fact.enrollment_id,
                f"{event.message.TYPE} {fact.subject}",
            )  # fmt: skip


async def of_records(records: Sequence[Record], service: str, judges: Judges, findings: Findings) -> list[Entry]:
    """The ledger's lines of published events, each of which must have its fact; other records are passed over."""
    entries: list[Entry] = []
    read: list[tuple[Record, str, Message | None]] = []
    for record in records:
        headers = dict(record.headers)
        event_type = (headers.get("ce_type") or b"").decode("utf-8", "replace")
        identity = headers.get("ce_id")
        if event_type not in TOPICS[record.topic].types or identity is None:
            continue
        message = _read(event_type, record.value)
        if message is None and _taken_by_a_service(record.topic):
            continue  # no event of ours: whether it became a dead letter is asked where its consumer's records are
        findings.counts[f"events {event_type}"] += 1
        digest = _digest(
            record.topic, record.key, record.value, event_type, headers.get("ce_source"), headers.get("ce_time")
        )
        entries.append(Entry(key_of(identity), EVENT, digest, place=position_of(record)))
        read.append((record, event_type, message))
    for position, event_type in await _without_facts(read, service, judges):
        findings.defect(Defect.EVENT_WITHOUT_FACT, position, event_type)
    return entries


def _taken_by_a_service(topic: str) -> bool:
    return not set(SERVICES).isdisjoint(TOPICS[topic].consumers)


async def _without_facts(
    read: Sequence[tuple[Record, str, Message | None]], service: str, judges: Judges
) -> list[tuple[str, str]]:
    known: list[Any] = [message for _, _, message in read if message is not None]
    stand = iter(await judges.stand(service, known)) if known else iter(())
    return [(position_of(r), event_type) for r, event_type, message in read if message is None or not next(stand)]


def _read(event_type: str, value: bytes | None) -> Message | None:
    try:
        return MESSAGES[event_type].from_json(value or b"")
    except ValidationError:
        return None


def _expected(event: Event, service: str) -> bytes:
    source, time = f"/services/{service}".encode(), rfc3339(event.time).encode()
    return _digest(event.topic, event.key.encode(), event.message.to_json(), event.message.TYPE, source, time)


def _digest(topic: str, key: bytes | None, value: bytes | None, event_type: str, *more: bytes | None) -> bytes:
    """What makes two copies the same event. Source: contracts, "The same event"."""
    return blake2b(repr((topic, key, value, event_type, *more)).encode(), digest_size=8).digest()
