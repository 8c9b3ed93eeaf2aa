"""What a completed enrollment ought to have and has not. Pure: no I/O, no framework."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from services.certificates.domain.certificate import COURSE_MISSING, USER_MISSING, Certificate, Particulars
from services.certificates.domain.telling import KINDS
from shared.contracts.certificates import NotificationKind
from shared.contracts.ids import notification_id


class Lack(StrEnum):
    """What can be wanting."""

    CERTIFICATE_MISSING = "certificate_missing"
    #: Begun, and neither issued nor given up.
    CERTIFICATE_UNFINISHED = "certificate_unfinished"
    #: The file that a certificate names is not stored, or not whole.
    PDF_MISSING = "pdf_missing"
    #: Given up: it waits for `certificate.generate.v1`.
    CERTIFICATE_FAILED = "certificate_failed"
    COURSE_COMPLETED_MISSING = "course_completed_notification_missing"
    CERTIFICATE_READY_MISSING = "certificate_ready_notification_missing"


_UNTOLD: dict[NotificationKind, Lack] = {
    "course_completed": Lack.COURSE_COMPLETED_MISSING,
    "certificate_ready": Lack.CERTIFICATE_READY_MISSING,
}


@dataclass(frozen=True, slots=True)
class Lacking:
    """One thing that a completed enrollment has not."""

    enrollment_id: str
    kind: Lack
    certificate_id: str | None = None
    #: Why the certificate could not be made, the last time it was tried.
    code: str | None = None
    #: Whether trying again may end otherwise, as far as the database can say.
    worth_trying: bool = True
    #: Whether the learner was told of a certificate that is not stored any more.
    was_issued: bool = False


def lacking(
    enrollment_id: str,
    certificate: Certificate | None,
    particulars: Particulars | None,
    *,
    files: Collection[str],
    told: Collection[str],
) -> Iterator[Lacking]:
    """What a completed enrollment has not; `files` are the whole ones and `told` the notifications there are, by id.

    `particulars` are those of now, where the certificate failed. A revoked certificate needs no PDF, and nobody is told
    of it; an issued one that never had a PDF needs none.
    """
    if certificate is None:
        was_issued = notification_id("certificate_ready", enrollment_id) in told
        yield Lacking(enrollment_id, Lack.CERTIFICATE_MISSING, was_issued=was_issued)
    elif (kind := _of_certificate(certificate, files)) is not None:
        worth_trying = kind is not Lack.CERTIFICATE_FAILED or _cause_gone(certificate, particulars)
        yield Lacking(enrollment_id, kind, certificate.certificate_id, certificate.failure, worth_trying)
    ready = certificate is not None and certificate.status == "issued"
    for notification in KINDS:
        expected = ready or notification == "course_completed"
        if expected and notification_id(notification, enrollment_id) not in told:
            certificate_id = None if certificate is None else certificate.certificate_id
            yield Lacking(enrollment_id, _UNTOLD[notification], certificate_id)


def _of_certificate(certificate: Certificate, files: Collection[str]) -> Lack | None:
    if certificate.status == "revoked":
        return None
    if certificate.status == "failed":
        return Lack.CERTIFICATE_FAILED
    if certificate.status != "pending" and certificate.file_id is not None and certificate.file_id not in files:
        return Lack.PDF_MISSING
    return None if certificate.status == "issued" else Lack.CERTIFICATE_UNFINISHED


def _cause_gone(certificate: Certificate, particulars: Particulars | None) -> bool:
    """Whether what made it fail is no longer so: who was missing is there, or the words are others by now."""
    if particulars is None or particulars.missing is not None:
        return False
    if certificate.failure in {USER_MISSING, COURSE_MISSING}:
        return True
    words = (certificate.recipient_name, certificate.course_title, certificate.instructor_name)
    return words != (particulars.recipient_name, particulars.course_title, particulars.instructor_name)
