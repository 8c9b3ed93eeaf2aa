"""What a learner is told of a completed course and its certificate, and where it can be found. Pure."""

from dataclasses import dataclass
from urllib.parse import quote

from services.certificates.domain.certificate import Certificate, Enrollment
from shared.contracts.certificates import NotificationKind
from shared.contracts.ids import notification_id

KINDS: tuple[NotificationKind, ...] = ("course_completed", "certificate_ready")

#: The most characters of a notification's body. Source: contracts, "Events".
_LONGEST_BODY = 500
_CONGRATULATIONS = "Congratulations! You've completed "


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses learners see, all under `public_url`."""

    public_url: str

    def course(self, course_id: str) -> str:
        """The course's page on the platform."""
        return f"{self.public_url.rstrip('/')}/courses/{quote(course_id, safe='')}"

    def verification(self, certificate_id: str) -> str:
        """Where anyone can check a certificate."""
        return f"{self.public_url.rstrip('/')}/v1/certificates/{certificate_id}"

    def pdf(self, certificate_id: str) -> str:
        """Where the PDF is."""
        return f"{self.verification(certificate_id)}/pdf"


@dataclass(frozen=True, slots=True)
class Notification:
    """What a learner is told, once for each kind and enrollment. `created_at` in epoch ms."""

    notification_id: str
    user_id: str
    kind: NotificationKind
    title: str
    body: str
    link: str
    created_at: int


def course_completed(enrollment: Enrollment, course_title: str | None, links: Links, at: int) -> Notification:
    """Told at once, whatever becomes of the certificate; a course that is gone is "your course"."""
    name = " ".join((course_title or "").split()) or "your course"
    body = _CONGRATULATIONS + name
    return Notification(
        notification_id("course_completed", enrollment.enrollment_id),
        enrollment.user_id,
        "course_completed",
        "Course completed",
        body if len(body) <= _LONGEST_BODY else body[: _LONGEST_BODY - 1] + "…",
        links.course(enrollment.course_id),
        at,
    )


def certificate_ready(certificate: Certificate, links: Links) -> Notification:
    """Told when the certificate is issued."""
    return Notification(
        notification_id("certificate_ready", certificate.enrollment_id),
        certificate.user_id,
        "certificate_ready",
        "Certificate ready",
        "Your certificate is ready to download",
        links.pdf(certificate.certificate_id),
        certificate.issued_at or 0,
    )
