"""What a certificate is, what becomes of it, and what its learner is told. Pure: no I/O, no framework."""

from services.certificates.domain.auditing import Lack, Lacking, lacking
from services.certificates.domain.certificate import (
    CERTIFICATE_NOT_FOUND,
    COURSE_MISSING,
    MOST_WORKERS_ENDED,
    RENDER_FAILED,
    USER_MISSING,
    Certificate,
    Enrollment,
    EnrollmentNotCompleted,
    Failure,
    Making,
    Particulars,
    PdfFile,
    Revocation,
    making,
    new_certificate,
)
from services.certificates.domain.restoring import OTHER_CERTIFICATE, LostCertificate
from services.certificates.domain.telling import KINDS, Links, Notification, certificate_ready, course_completed

__all__ = [
    "CERTIFICATE_NOT_FOUND",
    "COURSE_MISSING",
    "KINDS",
    "MOST_WORKERS_ENDED",
    "OTHER_CERTIFICATE",
    "RENDER_FAILED",
    "USER_MISSING",
    "Certificate",
    "Enrollment",
    "EnrollmentNotCompleted",
    "Failure",
    "Lack",
    "Lacking",
    "Links",
    "LostCertificate",
    "Making",
    "Notification",
    "Particulars",
    "PdfFile",
    "Revocation",
    "certificate_ready",
    "course_completed",
    "lacking",
    "making",
    "new_certificate",
]
