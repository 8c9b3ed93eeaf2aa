"""What certificates publishes, built from the stored documents."""

from collections.abc import Sequence

from services.certificates.domain import Certificate, Links, Notification
from shared.contracts.certificates import CertificateIssued, CertificateRevoked, NotificationCreated
from shared.contracts.ids import deterministic_id
from shared.contracts.topics import CERTIFICATE_ISSUED, NOTIFICATION_CREATED
from shared.kafka.records import Event


def in_order(certificate: Certificate, notifications: Sequence[Notification], links: Links) -> list[Event]:
    """Everything the stored documents say, the last word last: always the same events, on every handling."""
    events = []
    if certificate.issued_at is not None:
        events.append(certificate_issued(certificate, certificate.issued_at, links))
    events += [notification_created(notification) for notification in notifications]
    if certificate.status == "revoked":
        events.append(certificate_revoked(certificate))
    return events


def certificate_issued(certificate: Certificate, issued_at: int, links: Links) -> Event:
    """The event of an issued certificate."""
    message = CertificateIssued(
        certificate_id=certificate.certificate_id,
        enrollment_id=certificate.enrollment_id,
        user_id=certificate.user_id,
        course_id=certificate.course_id,
        issued_at=issued_at,
        verification_url=links.verification(certificate.certificate_id),
    )
    event_id = deterministic_id(CertificateIssued.TYPE, certificate.certificate_id)
    return Event(CERTIFICATE_ISSUED, certificate.enrollment_id, message, event_id, issued_at)


def certificate_revoked(certificate: Certificate) -> Event:
    """The event of a revoked certificate."""
    revoked_at = certificate.revoked_at or 0
    message = CertificateRevoked(
        certificate_id=certificate.certificate_id,
        enrollment_id=certificate.enrollment_id,
        user_id=certificate.user_id,
        course_id=certificate.course_id,
        revoked_at=revoked_at,
    )
    event_id = deterministic_id(CertificateRevoked.TYPE, certificate.certificate_id)
    return Event(CERTIFICATE_ISSUED, certificate.enrollment_id, message, event_id, revoked_at)


def notification_created(notification: Notification) -> Event:
    """The event of a stored notification."""
    message = NotificationCreated(
        notification_id=notification.notification_id,
        user_id=notification.user_id,
        kind=notification.kind,
        title=notification.title,
        body=notification.body,
        link=notification.link,
        created_at=notification.created_at,
    )
    event_id = deterministic_id(NotificationCreated.TYPE, notification.notification_id)
    return Event(NOTIFICATION_CREATED, notification.user_id, message, event_id, notification.created_at)
