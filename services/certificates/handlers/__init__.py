"""Certificates' use cases, over ports: make, withdraw, give back, hand out, mail, and look for what is missing."""

from services.certificates.handlers.auditing import audit_enrollments, lacks
from services.certificates.handlers.examining import (
    Holding,
    examine,
    strays_among_certificates,
    strays_among_notifications,
)
from services.certificates.handlers.handing_out import EMAIL_LEASE_MS, download, send_due_emails
from services.certificates.handlers.issuing import CertificateIssuer, EndsWorkers, Made, new_certificate_id
from services.certificates.handlers.restoring import Restored, restore
from services.certificates.handlers.revoking import ChangedMeanwhile, Revoked, revoke

__all__ = [
    "EMAIL_LEASE_MS",
    "CertificateIssuer",
    "ChangedMeanwhile",
    "EndsWorkers",
    "Holding",
    "Made",
    "Restored",
    "Revoked",
    "audit_enrollments",
    "download",
    "examine",
    "lacks",
    "new_certificate_id",
    "restore",
    "revoke",
    "send_due_emails",
    "strays_among_certificates",
    "strays_among_notifications",
]
