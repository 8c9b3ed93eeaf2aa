"""What a certificate is, and what becomes of it. Pure: no I/O, no framework."""

from dataclasses import dataclass, replace
from hashlib import sha256

from shared.contracts.certificates import CertificateStatus
from shared.contracts.ids import deterministic_id
from shared.contracts.rejections import Rejection
from shared.errors import Permanent

CERTIFICATE_NOT_FOUND = Rejection(404, "Certificate not found", "certificate_not_found")

#: Why a certificate could not be made; the other codes are the typesetter's.
USER_MISSING = "user_missing"
COURSE_MISSING = "course_missing"
RENDER_FAILED = "render_failed"
#: A page that ended its worker in this many handlings, alone each time, is to blame; no other trouble counts.
MOST_WORKERS_ENDED = 5


class EnrollmentNotCompleted(Permanent):
    """The stored enrollment has no `completedAt`, or is not there: nothing may follow from this event."""


@dataclass(frozen=True, slots=True)
class Enrollment:
    """A learner who completed a course. `completed_at` in epoch ms."""

    enrollment_id: str
    user_id: str
    course_id: str
    completed_at: int


@dataclass(frozen=True, slots=True)
class Particulars:
    """What stands on a certificate, as users and courses say it now; None where that document is missing."""

    recipient_name: str | None
    course_title: str | None
    instructor_name: str | None

    @property
    def missing(self) -> str | None:
        """The failure code of what is missing."""
        if self.recipient_name is None:
            return USER_MISSING
        return COURSE_MISSING if self.course_title is None else None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a page cannot be typeset, however often it is tried."""

    code: str


@dataclass(frozen=True, slots=True)
class Revocation:
    """An operator withdraws a certificate. `at` is the command's record time, epoch ms."""

    at: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """One enrollment's certificate: pending, rendered, issued; or failed, or revoked. Moments in epoch ms.

    A name is empty while its user or course is missing. `attempts`: how often making it was begun.
    """

    certificate_id: str
    enrollment_id: str
    user_id: str
    course_id: str
    recipient_name: str
    course_title: str
    instructor_name: str | None
    status: CertificateStatus = "pending"
    failure: str | None = None
    issued_at: int | None = None
    file_id: str | None = None
    #: The file that the present one replaced: it is to be removed.
    replaced_file_id: str | None = None
    revoked_at: int | None = None
    revoked_reason: str | None = None
    attempts: int = 1
    #: In how many handlings its page, alone, ended its worker, since it was last made or given up.
    workers_ended: int = 0

    @property
    def content(self) -> tuple[str, str, str | None, str | None]:
        """The words on it and the file that shows them."""
        return self.recipient_name, self.course_title, self.instructor_name, self.file_id

    def worded(self, particulars: Particulars) -> "Certificate":
        """With names and title afresh; failed where one is missing."""
        worded = replace(
            self,
            recipient_name=particulars.recipient_name or "",
            course_title=particulars.course_title or "",
            instructor_name=particulars.instructor_name,
            failure=None,
        )
        if particulars.missing is None:
            return worded
        return (self if self.status == "issued" else worded).failed(particulars.missing)

    def failed(self, code: str) -> "Certificate":
        """It cannot be made. One that was issued stays so, as it was: the learner's link goes on working."""
        status: CertificateStatus = "issued" if self.status == "issued" else "failed"
        return replace(self, status=status, failure=code, workers_ended=0)

    def rendered(self, file_id: str) -> "Certificate":
        """Its PDF is stored. One that was issued has a new PDF and stays issued."""
        status: CertificateStatus = "issued" if self.status == "issued" else "rendered"
        return replace(self.with_file(file_id), status=status, failure=None, workers_ended=0)

    def with_file(self, file_id: str | None) -> "Certificate":
        """With this file, and the former one noted."""
        replaced = self.replaced_file_id if self.file_id in {None, file_id} else self.file_id
        return replace(self, file_id=file_id, replaced_file_id=replaced)

    def issued(self, at: int) -> "Certificate":
        """Anyone may see it; the moment is set once."""
        return replace(self, status="issued", issued_at=at if self.issued_at is None else self.issued_at, failure=None)

    def ended_worker(self) -> "Certificate":
        """Its page, alone, ended its worker once more."""
        return replace(self, workers_ended=self.workers_ended + 1)

    def revoked(self, revocation: Revocation) -> "Certificate":
        """Withdrawn for good."""
        return replace(self, status="revoked", revoked_at=revocation.at, revoked_reason=revocation.reason)


def new_certificate(certificate_id: str, enrollment: Enrollment, particulars: Particulars) -> Certificate:
    """The certificate as it is first written: pending, or failed where user or course is missing."""
    place = (enrollment.enrollment_id, enrollment.user_id, enrollment.course_id)
    return Certificate(certificate_id, *place, "", "", None).worded(particulars)


@dataclass(frozen=True, slots=True)
class PdfFile:
    """One certificate's PDF; the same certificate and bytes have the same id, so a file never changes."""

    file_id: str
    certificate_id: str
    data: bytes

    @classmethod
    def of(cls, certificate: Certificate, data: bytes) -> "PdfFile":
        """The file of this certificate."""
        digest = sha256(data).hexdigest()
        file_id = deterministic_id("certificate-file", certificate.certificate_id, digest)
        return cls(file_id, certificate.certificate_id, data)


@dataclass(frozen=True, slots=True)
class Making:
    """A certificate that is to be made: as it is stored, and with the words that shall stand on it."""

    before: Certificate
    draft: Certificate
    #: When the course was completed, epoch ms: the day that stands on the page.
    completed_at: int
    #: An operator asked for it, whatever state it was in.
    again: bool

    @property
    def last_chance(self) -> bool:
        """Whether the page is to blame if it ends its worker now."""
        return self.before.workers_ended + 1 >= MOST_WORKERS_ENDED

    def made(self, page: PdfFile | Failure | None, at: int) -> Certificate:
        """What follows from the page; without one, where none are made, it is issued `at` once."""
        if isinstance(page, PdfFile):
            return self.draft.rendered(page.file_id)
        if page is None:
            return self.draft.with_file(None).issued(at)
        return (self.before if self.before.status == "issued" else self.draft).failed(page.code)


def making(
    stored: Certificate, particulars: Particulars, completed_at: int, *, new: bool, again: bool
) -> Making | None:
    """What is to be made of a certificate; None when nothing is. Revoked stays revoked, whatever repeats.

    A pending one is finished with the words it was claimed with, so that every replica makes the same page.
    """
    if stored.status == "revoked" or not (again or stored.status == "pending"):
        return None
    before = stored if new else replace(stored, attempts=stored.attempts + 1)
    return Making(before, before.worded(particulars) if again else before, completed_at, again)
