"""A certificate that a restored database lacks, and how it comes back. Pure: no I/O, no framework."""

from dataclasses import dataclass, replace

from services.certificates.domain.certificate import Certificate, Enrollment, Particulars, Revocation, new_certificate
from shared.contracts.rejections import Rejection

OTHER_CERTIFICATE = Rejection(409, "Another certificate exists", "other_certificate")


@dataclass(frozen=True, slots=True)
class LostCertificate:
    """What the topic of issued certificates still says of one. Moments in epoch ms."""

    certificate_id: str
    enrollment_id: str
    user_id: str
    course_id: str
    issued_at: int
    revoked_at: int | None

    def restored(self, particulars: Particulars) -> Certificate:
        """As it is written again: its page is to be made, its id and its date are the ones that were handed out."""
        written = replace(new_certificate(self.certificate_id, self.enrollment, particulars), issued_at=self.issued_at)
        return written if self.revocation is None else replace(written.revoked(self.revocation), failure=None)

    def repeated(self, again: "LostCertificate") -> "LostCertificate":
        """What two commands for one enrollment ask for: the first one's certificate, withdrawn where either says so."""
        if self.revoked_at is not None or again.certificate_id != self.certificate_id:
            return self
        return replace(self, revoked_at=again.revoked_at)

    @property
    def revocation(self) -> Revocation | None:
        """Its withdrawal, if there was one; the reason stands in no event."""
        return None if self.revoked_at is None else Revocation(self.revoked_at, None)

    @property
    def enrollment(self) -> Enrollment:
        """Whom and what it was for; the moment of completion is no part of what is written."""
        return Enrollment(self.enrollment_id, self.user_id, self.course_id, completed_at=self.issued_at)
