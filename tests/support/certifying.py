"""Certificates over a log, a store and a typesetter in memory, and the records it is given."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from services.certificates.domain import Links
from services.certificates.handlers import CertificateIssuer
from services.certificates.messaging import ACCEPTS, CertificateMessages
from services.certificates.metrics import CertificateMetrics
from shared.contracts.operators import CertificateGenerate, CertificateRestore, CertificateRevoke
from shared.contracts.recalculator import CourseCompleted
from shared.contracts.topics import (
    CERTIFICATE_COMMANDS,
    CERTIFICATE_ISSUED,
    COURSE_COMPLETED,
    NOTIFICATION_CREATED,
    PROGRESS_REPLIES,
)
from shared.contracts.values import Message
from shared.kafka.records import Record
from tests.support.builders import event, operator_command
from tests.support.fake_log import FakeLog
from tests.support.fakes_certificates import FakeCertificateStore, FakeTypesetter, numbered_ids
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock
from tests.support.process import Process

PUBLIC_URL = "https://learn.example.org"


class Certifying:
    """One running copy of certificates' consuming side; the log and the store outlive it."""

    def __init__(
        self,
        log: FakeLog,
        store: FakeCertificateStore,
        clock: FakeClock,
        *,
        typesetter: FakeTypesetter | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self.typesetter = typesetter or FakeTypesetter()
        links = Links(PUBLIC_URL)
        registry = CollectorRegistry()
        issuer = CertificateIssuer(store, self.typesetter, links, clock, new_id or numbered_ids())
        self.process = Process(
            log,
            service="certificates",
            accepts=ACCEPTS,
            handler=CertificateMessages(issuer, store, links, CertificateMetrics(registry), clock),
            clock=clock,
            registry=registry,
        )


def course_completed(enrollment_id: str = "enrollment-1", *, caused: bool = True, **changed: Any) -> Record:
    """`course.completed.v1` as the recalculator publishes it; without a cause when a sweep led to it."""
    message = CourseCompleted(enrollment_id=enrollment_id, user_id="learner-1", course_id="course-1", completed_at=NOW)
    record = event(message, COURSE_COMPLETED, event_id=f"completed:{enrollment_id}", key=enrollment_id, **changed)
    cause = (("ce_causationid", b"command-1"),) if caused else ()
    return replace(record, headers=(*record.headers, *cause))


def generate(enrollment_id: str = "enrollment-1", **changed: Any) -> Record:
    """`certificate.generate.v1` from an operator, who waits for the reply."""
    return _command(CertificateGenerate(enrollment_id=enrollment_id), **changed)


def revoke(enrollment_id: str = "enrollment-1", *, reason: str | None = None, **changed: Any) -> Record:
    """`certificate.revoke.v1` from an operator, who waits for the reply."""
    return _command(CertificateRevoke(enrollment_id=enrollment_id, reason=reason), **changed)


def restore(
    enrollment_id: str = "enrollment-1",
    certificate_id: str = "certificate-lost",
    *,
    revoked_at: int | None = None,
    **changed: Any,
) -> Record:
    """`certificate.restore.v1` from an operator, who waits for the reply; it was issued a second before."""
    message = CertificateRestore(
        certificate_id=certificate_id,
        enrollment_id=enrollment_id,
        user_id="learner-1",
        course_id="course-1",
        issued_at=NOW - 1000,
        revoked_at=revoked_at,
    )
    return _command(message, **changed)


def _command(message: Message, **changed: Any) -> Record:
    record = operator_command(message, CERTIFICATE_COMMANDS, **changed)
    return replace(record, headers=(*record.headers, ("reply-to", PROGRESS_REPLIES.encode())))


def published(log: FakeLog, topic: str) -> list[tuple[str | None, dict[str, Any]]]:
    """Type and data of every message of a topic."""
    return [(header(record, "ce_type"), orjson.loads(record.value or b"")) for record in log.read(topic)]


def replies(log: FakeLog) -> list[tuple[str | None, dict[str, Any]]]:
    """Type and data of every reply."""
    return published(log, PROGRESS_REPLIES)


def header(record: Record, name: str) -> str | None:
    """A header as text."""
    return next((value.decode() for key, value in record.headers if key == name), None)


def events(log: FakeLog) -> list[Record]:
    """Every event, of both topics."""
    return [*log.read(CERTIFICATE_ISSUED), *log.read(NOTIFICATION_CREATED)]


def sameness(log: FakeLog) -> dict[str | None, set[object]]:
    """What each event, by its id, was published as: one thing, if it is always the same event."""
    copies: dict[str | None, set[object]] = {}
    for record in events(log):
        what = (record.topic, record.value, record.key, *(header(record, n) for n in ("ce_time", "ce_source")))
        copies.setdefault(header(record, "ce_id"), set()).add(what)
    return copies
