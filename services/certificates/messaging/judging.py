"""What must have become of completed courses and operators' commands, as far as what is stored now can say."""

from collections.abc import Sequence

from services.certificates.domain import CERTIFICATE_NOT_FOUND, OTHER_CERTIFICATE, Certificate
from services.certificates.messaging.incoming import Handled
from services.certificates.ports import CertificateRecords
from shared.contracts.operators import CertificateRestore, CertificateRevoke
from shared.contracts.recalculator import CourseCompleted
from shared.kafka.records import Received
from shared.verification import Fate, Unjudged, Verdict


async def verdicts(batch: Sequence[Received[Handled]], store: CertificateRecords) -> list[Verdict]:
    """Judge a batch in a fixed number of round trips; nothing is changed."""
    ids = {received.message.enrollment_id for received in batch}
    completed = await store.completed(ids)
    certificates = await store.every_certificate(ids)
    lost = {r.message.certificate_id for r in batch if isinstance(r.message, CertificateRestore)}
    holders = await store.certificates_by_id(lost) if lost else {}
    return [
        _restoration(message, certificates.get(key, ()), holders.get(message.certificate_id))
        if isinstance(message := received.message, CertificateRestore)
        else _verdict(received, certificates.get(key, ()), completed=key in completed)
        for received in batch
        if (key := received.message.enrollment_id)
    ]


def _verdict(received: Received[Handled], certificates: Sequence[Certificate], *, completed: bool) -> Verdict:
    message, key = received.message, received.message.enrollment_id
    if isinstance(message, CertificateRevoke):
        return _revocation(received.at, key, certificates)
    if completed:
        # Without a certificate this says so; what is missing is named where enrollments are looked at.
        return Verdict(Fate.RECORDED, "issued", enrollment_id=key)
    if isinstance(message, CourseCompleted):
        # A completion stays: the enrollment itself was taken away, or never was.
        return Verdict(Fate.UNDECIDABLE, Unjudged.ENROLLMENT_GONE, enrollment_id=key)
    return Verdict(Fate.REJECTED, CERTIFICATE_NOT_FOUND.outcome, enrollment_id=key)


def _restoration(
    message: CertificateRestore, certificates: Sequence[Certificate], holder: Certificate | None
) -> Verdict:
    key = message.enrollment_id
    if holder is None and not certificates:
        return Verdict(Fate.MISSING, "restored", enrollment_id=key)
    if holder is None or holder.enrollment_id != key:
        return Verdict(Fate.REJECTED, OTHER_CERTIFICATE.outcome, enrollment_id=key)
    withdrawn = message.revoked_at is None or holder.status == "revoked"
    return Verdict(Fate.RECORDED if withdrawn else Fate.MISSING, "restored", enrollment_id=key)


def _revocation(at: int, key: str, certificates: Sequence[Certificate]) -> Verdict:
    if not certificates:
        return Verdict(Fate.REJECTED, CERTIFICATE_NOT_FOUND.outcome, enrollment_id=key)
    if all(certificate.status == "revoked" for certificate in certificates):
        return Verdict(Fate.RECORDED, "revoked", enrollment_id=key)
    if any(certificate.issued_at is None or certificate.issued_at >= at for certificate in certificates):
        return Verdict(Fate.UNDECIDABLE, Unjudged.CERTIFICATE_MADE_SINCE, enrollment_id=key)
    return Verdict(Fate.MISSING, "revoked", enrollment_id=key)
