"""What certificates publishes."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from shared.contracts.values import EpochMillis, Id, Message

CertificateStatus = Literal["pending", "rendered", "issued", "failed", "revoked"]
NotificationKind = Literal["course_completed", "certificate_ready"]
#: An absolute web address of RFC 3986, which is ASCII: other characters stand in it percent-encoded or in Punycode.
Address = Annotated[
    str,
    StringConstraints(
        pattern=r"^https?://(\[[0-9A-Fa-f:.]+\]|([A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(:[0-9]*)?"
        r"([/?]([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?(#([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?$"
    ),
    Field(json_schema_extra={"format": "uri"}),
]


class CertificateIssued(Message):
    """A certificate can be downloaded and checked."""

    TYPE: ClassVar[str] = "certificate.issued.v1"
    certificate_id: Id
    """The certificate; whoever knows the id may look at it."""
    enrollment_id: Id
    """The enrollment that was completed; the record's key."""
    user_id: Id
    """The learner."""
    course_id: Id
    """The course that was completed."""
    issued_at: EpochMillis
    """When it was issued, in Unix epoch milliseconds; making it again does not change this."""
    verification_url: Address
    """The absolute address where anyone may check it."""


class CertificateRevoked(Message):
    """A certificate was withdrawn for good."""

    TYPE: ClassVar[str] = "certificate.revoked.v1"
    certificate_id: Id
    """The certificate."""
    enrollment_id: Id
    """The enrollment it was issued for; the record's key."""
    user_id: Id
    """The learner."""
    course_id: Id
    """The course."""
    revoked_at: EpochMillis
    """When it was withdrawn, in Unix epoch milliseconds."""


class CertificateRequested(Message):
    """The reply to `certificate.generate.v1`, `certificate.revoke.v1` and `certificate.restore.v1`."""

    TYPE: ClassVar[str] = "certificate.requested.v1"
    certificate_id: Id
    """The certificate."""
    status: CertificateStatus
    """What came of the request; `failed` also where an issued one could not be made again and stayed as it was."""


class NotificationCreated(Message):
    """The learner is told, once."""

    TYPE: ClassVar[str] = "notification.created.v1"
    notification_id: Id
    """The notification; the same for every repetition."""
    user_id: Id
    """The learner who is told; the record's key."""
    kind: NotificationKind
    """What it is about."""
    title: str
    """Its headline, plain text."""
    body: Annotated[str, StringConstraints(max_length=500)]
    """What it says: plain text, at most 500 characters."""
    link: Address
    """The absolute address to go to."""
    created_at: EpochMillis
    """When it was made, in Unix epoch milliseconds."""
