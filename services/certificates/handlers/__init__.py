"""Certificates' use cases, over ports: make, withdraw, give back, hand out, and mail."""

from services.certificates.handlers.handing_out import EMAIL_LEASE_MS, download, send_due_emails
from services.certificates.handlers.issuing import CertificateIssuer, EndsWorkers, Made, new_certificate_id
from services.certificates.handlers.restoring import Restored, restore
from services.certificates.handlers.revoking import ChangedMeanwhile, Revoked, revoke

__all__ = [
    "EMAIL_LEASE_MS",
    "CertificateIssuer",
    "ChangedMeanwhile",
    "EndsWorkers",
    "Made",
    "Restored",
    "Revoked",
    "download",
    "new_certificate_id",
    "restore",
    "revoke",
    "send_due_emails",
]
