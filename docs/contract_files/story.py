"""One learner's way through the system: the messages that the examples show."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from services.certificates.domain import Links
from shared.contracts.certificates import (
    CertificateIssued,
    CertificateRequested,
    CertificateRevoked,
    NotificationCreated,
)
from shared.contracts.gateways import LessonComplete
from shared.contracts.ids import notification_id, progress_id
from shared.contracts.operators import (
    CertificateGenerate,
    CertificateRestore,
    CertificateRevoke,
    CourseChanged,
    ProgressRecalculate,
)
from shared.contracts.percentage import progress_percent
from shared.contracts.progress import LessonCompleted, LessonMarked
from shared.contracts.recalculator import CourseCompleted, EnrollmentProgressed, ProgressRecalculated
from shared.contracts.rejections import INVALID_COMMAND, NOT_AUTHENTICATED, OPERATOR_REQUIRED, Rejection
from shared.contracts.topics import SERVICES
from shared.contracts.values import Message

USER, LESSON, COURSE, ENROLLMENT = "learner-maya", "bread-basics-2", "course-bread", "enrollment-4"
CERTIFICATE = "6b1f0d7c3a9e4852b0c6d1f7e2a49358"
#: 2027-01-15, 08:00 UTC.
AT = 1_800_000_000_000
_LINKS = Links("https://learn.example.org")
_LEARNER = {"enrollment_id": ENROLLMENT, "user_id": USER, "course_id": COURSE}
_COMPLETION: dict[str, Any] = {
    "progress_id": progress_id(USER, LESSON),
    "lesson_id": LESSON,
    "course_id": COURSE,
    "enrollment_id": ENROLLMENT,
    "completed_at": AT,
}

MESSAGES: Sequence[Message] = (
    LessonComplete(lesson_id=LESSON),
    LessonMarked(**_COMPLETION, already_completed=False),
    LessonCompleted(**_COMPLETION, user_id=USER),
    EnrollmentProgressed(
        **_LEARNER, completed=2, total=2, progress_percent=progress_percent(2, 2), completed_at=AT, revision=2
    ),
    CourseCompleted(**_LEARNER, completed_at=AT),
    CertificateIssued(
        **_LEARNER,
        certificate_id=CERTIFICATE,
        issued_at=AT,
        verification_url=_LINKS.verification(CERTIFICATE),
    ),
    NotificationCreated(
        notification_id=notification_id("certificate_ready", ENROLLMENT),
        user_id=USER,
        kind="certificate_ready",
        title="Certificate ready",
        body="Your certificate is ready to download",
        link=_LINKS.pdf(CERTIFICATE),
        created_at=AT,
    ),
    ProgressRecalculate(enrollment_id=ENROLLMENT),
    ProgressRecalculated(enrollment_id=ENROLLMENT, progress_percent=progress_percent(2, 2), completed_at=AT),
    CourseChanged(course_id=COURSE),
    CertificateGenerate(enrollment_id=ENROLLMENT),
    CertificateRequested(certificate_id=CERTIFICATE, status="issued"),
    CertificateRevoke(enrollment_id=ENROLLMENT, reason="issued by mistake"),
    CertificateRestore(
        certificate_id=CERTIFICATE, enrollment_id=ENROLLMENT, user_id=USER, course_id=COURSE, issued_at=AT
    ),
    CertificateRevoked(**_LEARNER, certificate_id=CERTIFICATE, revoked_at=AT),
)

#: The command that the refusals of a service answer in the examples.
COMMANDS = {
    "progress": LessonComplete.TYPE,
    "recalculator": ProgressRecalculate.TYPE,
    "certificates": CertificateRevoke.TYPE,
}


def refusals() -> list[tuple[str, Rejection]]:
    """Every reason a command is refused for, and a service that says so."""
    common: list[tuple[str, Rejection]] = [
        ("progress", INVALID_COMMAND),
        ("progress", NOT_AUTHENTICATED),
        ("recalculator", OPERATOR_REQUIRED),
    ]
    own: list[tuple[str, Rejection]] = [
        (service, value)
        for service in SERVICES
        for value in vars(import_module(f"services.{service}.domain")).values()
        if isinstance(value, Rejection)
    ]
    return sorted(common + own, key=lambda refusal: (refusal[1].code, refusal[1].reason))
