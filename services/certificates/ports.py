"""Everything certificates needs from outside, on one screen."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.certificates.domain import Certificate, Enrollment, Failure, Making, Notification, Particulars, PdfFile

#: Makes the id of a new certificate: at least 128 random bits, for it is the secret that opens it.
NewId = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Claim:
    """An enrollment's one certificate as it is stored; `new` when this claim wrote it."""

    certificate: Certificate
    new: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A certificate as it was read, and as it shall be."""

    before: Certificate
    after: Certificate


@dataclass(frozen=True, slots=True)
class Uncertified:
    """Completed enrollments without an issued or revoked certificate."""

    #: When those were completed (epoch ms) whose certificate is not made yet.
    waiting: Sequence[int]
    #: Those whose certificate failed: they wait for an operator.
    failed: int


class CertificateStore(Protocol):
    """Certificates and their files. Every method raises Transient when the database does not answer."""

    async def completed(self, enrollment_ids: Collection[str]) -> Mapping[str, Enrollment]:
        """Those of the enrollments that exist and have `completedAt`, by id."""

    async def particulars(self, enrollments: Collection[Enrollment]) -> Mapping[str, Particulars]:
        """Names and titles as they are now, by enrollment id, for each of them."""

    async def claim(self, certificates: Sequence[Certificate]) -> Mapping[str, Claim]:
        """Store each certificate unless its enrollment has one; answers the stored ones, by enrollment id.

        Transient as well where an id is that of another enrollment's certificate.
        """

    async def certificates(self, enrollment_ids: Collection[str]) -> Mapping[str, Certificate]:
        """The certificates that exist, by enrollment id."""

    async def certificates_by_id(self, certificate_ids: Collection[str]) -> Mapping[str, Certificate]:
        """The certificates that exist, by their own ids."""

    async def certificate(self, certificate_id: str) -> Certificate | None:
        """One certificate."""

    async def uncertified(self, since: int) -> Uncertified:
        """Of the enrollments completed from `since` on (epoch ms), those without an issued or revoked certificate.

        Where there are very many, the latest.
        """

    async def begin_again(self, certificate_ids: Collection[str]) -> None:
        """Count one more attempt of each."""

    async def keep(self, files: Sequence[PdfFile]) -> None:
        """Store each file once; one that is there already is the same."""

    async def advance(self, changes: Sequence[Change]) -> Mapping[str, Certificate]:
        """Make each change where status, and file where that changes, are still as they were read.

        Answers all these certificates as they are stored now, by enrollment id.
        """

    async def discard(self, file_ids: Collection[str]) -> None:
        """Remove files; one that is not there is removed already."""

    async def pdf(self, file_id: str) -> bytes | None:
        """The bytes of a file; None when it is not there."""


class NotificationStore(Protocol):
    """What learners were told. Every method raises Transient when the database does not answer."""

    async def tell(
        self, notifications: Sequence[Notification], *, email_due: int | None = None
    ) -> Mapping[str, Notification]:
        """Store each notification once, with an e-mail due then (epoch ms) or with none; answers the stored, by id."""

    async def told(self, notification_ids: Collection[str]) -> Mapping[str, Notification]:
        """The notifications that are stored, by id."""

    async def next_email(self, at: int, until: int) -> tuple[Notification, str | None] | None:
        """A notification whose e-mail is due `at`, with the learner's address, if there is one; None when none is due.

        Nobody is given it again before `until` (epoch ms).
        """

    async def emailed(self, notification_id: str, at: int | None) -> None:
        """Note that the e-mail was accepted `at` (epoch ms), or, with None, that it never will be."""


class AuditStore(Protocol):
    """What the audit reads. Every method raises Transient when the database does not answer."""

    async def completed_after(self, enrollment_id: str | None, limit: int) -> Sequence[Enrollment]:
        """The next completed enrollments in the order of their ids; from the first on for None.

        Fewer than `limit` are the last ones. What cannot be read as an enrollment is passed over.
        """

    async def certificate_count(self) -> int:
        """About how many certificates there are."""

    async def completed(self, enrollment_ids: Collection[str]) -> Mapping[str, Enrollment]:
        """Those of the enrollments that exist and have `completedAt`, by id."""

    async def certificates(self, enrollment_ids: Collection[str]) -> Mapping[str, Certificate]:
        """The certificates that exist, by enrollment id."""

    async def particulars(self, enrollments: Collection[Enrollment]) -> Mapping[str, Particulars]:
        """Names and titles as they are now, by enrollment id, for each of them."""

    async def filed(self, file_ids: Collection[str]) -> Collection[str]:
        """Those of these files that are stored with all their parts."""

    async def told(self, notification_ids: Collection[str]) -> Collection[str]:
        """Those of these notifications that are stored."""


class Store(CertificateStore, NotificationStore, Protocol):
    """The whole database side of the service."""


class CertificateRecords(NotificationStore, Protocol):
    """What a check of certificates reads. Every method raises Transient when the database does not answer."""

    async def completed(self, enrollment_ids: Collection[str]) -> Mapping[str, Enrollment]:
        """Those of the enrollments that exist and have `completedAt`, by id."""

    async def existing(self, enrollment_ids: Collection[str]) -> Collection[str]:
        """Those of the enrollments that exist."""

    async def completed_by(self, user_ids: Collection[str]) -> Mapping[str, Sequence[Enrollment]]:
        """What these learners have completed, by user id; who is not enrolled anywhere is not in the answer."""

    async def every_certificate(self, enrollment_ids: Collection[str]) -> Mapping[str, Sequence[Certificate]]:
        """All the certificates of each enrollment: one, unless something is wrong."""

    async def certificates_by_id(self, certificate_ids: Collection[str]) -> Mapping[str, Certificate]:
        """The certificates that exist, by their own ids."""

    async def certificates_after(self, certificate_id: str | None, limit: int) -> Sequence[Certificate]:
        """The next certificates in the order of their ids, from the first on for None; fewer than `limit`: the last."""

    async def told_after(self, notification_id: str | None, limit: int) -> Sequence[Notification]:
        """The next notifications in the order of their ids, likewise."""

    async def whole_files(self, file_ids: Collection[str]) -> Collection[str]:
        """Those of the files that are there with all their parts."""


class Typesetter(Protocol):
    """Makes pages."""

    async def typeset(self, makings: Sequence[Making]) -> Sequence[bytes | Failure]:
        """The PDFs, or why there is none, in the same order.

        Raises:
            Transient: a worker died and took every page of this call with it; the next call gets another.
        """

    async def recover(self) -> None:
        """See that workers work again.

        Raises:
            Transient: they do not.
        """


class EmailSender(Protocol):
    """Tells learners by e-mail."""

    async def send(self, notification: Notification, address: str) -> None:
        """Hand the e-mail over; returns when it was accepted. The same notification has the same Message-ID.

        Raises:
            Transient: the server does not answer, or wants it later.
            Permanent: this e-mail will never be accepted.
        """
