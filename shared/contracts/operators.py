"""Commands of operators and of the course platform; each needs the operator role."""

from typing import Annotated, ClassVar

from pydantic import StringConstraints

from shared.contracts.values import EpochMillis, Id, Message


class ProgressRecalculate(Message):
    """Compute one enrollment's percentage again from the facts."""

    TYPE: ClassVar[str] = "progress.recalculate.v1"
    enrollment_id: Id
    """The enrollment; the record's key."""


class CourseChanged(Message):
    """The lessons of a course changed: every enrollment of it is recalculated."""

    TYPE: ClassVar[str] = "course.changed.v1"
    course_id: Id
    """The course; the record's key."""


class CertificateGenerate(Message):
    """Make a certificate again: name and title afresh, id and date kept, nobody notified again."""

    TYPE: ClassVar[str] = "certificate.generate.v1"
    enrollment_id: Id
    """The enrollment whose certificate it is; the record's key."""


class CertificateRevoke(Message):
    """Withdraw a certificate for good."""

    TYPE: ClassVar[str] = "certificate.revoke.v1"
    enrollment_id: Id
    """The enrollment whose certificate it is; the record's key."""
    reason: Annotated[str, StringConstraints(max_length=500)] | None = None
    """Why, kept with the certificate: at most 500 characters; may be left out."""

    def to_json(self) -> bytes:
        """The value bytes; `reason` is left out where none is given."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


class CertificateRestore(Message):
    """Give a certificate back that a restored database lacks, with the id and the date that its learner has."""

    TYPE: ClassVar[str] = "certificate.restore.v1"
    certificate_id: Id
    """The certificate, as `certificate.issued.v1` named it."""
    enrollment_id: Id
    """The enrollment it was issued for; the record's key."""
    user_id: Id
    """The learner."""
    course_id: Id
    """The course."""
    issued_at: EpochMillis
    """When it was issued, in Unix epoch milliseconds."""
    revoked_at: EpochMillis | None = None
    """When it was withdrawn, in Unix epoch milliseconds; left out where it was not."""

    def to_json(self) -> bytes:
        """The value bytes; `revokedAt` is left out where it was not withdrawn."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()
