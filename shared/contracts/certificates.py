"""What certificates publishes."""

from typing import Annotated, ClassVar, Literal

from pydantic import StringConstraints

from shared.contracts.values import EpochMillis, Id, Message

CertificateStatus = Literal["pending", "rendered", "issued", "failed", "revoked"]
NotificationKind = Literal["course_completed", "certificate_ready"]


class CertificateIssued(Message):
    """A certificate can be downloaded and checked."""

    TYPE: ClassVar[str] = "certificate.issued.v1"
    certificate_id: Id
    enrollment_id: Id
    user_id: Id
    course_id: Id
    issued_at: EpochMillis
    verification_url: str


class CertificateRevoked(Message):
    """A certificate was withdrawn for good."""

    TYPE: ClassVar[str] = "certificate.revoked.v1"
    certificate_id: Id
    enrollment_id: Id
    user_id: Id
    course_id: Id
    revoked_at: EpochMillis


class CertificateRequested(Message):
    """The reply to `certificate.generate.v1` and `certificate.revoke.v1`."""

    TYPE: ClassVar[str] = "certificate.requested.v1"
    certificate_id: Id
    status: CertificateStatus


class NotificationCreated(Message):
    """The learner is told, once."""

    TYPE: ClassVar[str] = "notification.created.v1"
    notification_id: Id
    user_id: Id
    kind: NotificationKind
    title: str
    body: Annotated[str, StringConstraints(max_length=500)]
    link: str
    created_at: EpochMillis
