"""Check certificates: exactly one for each completed enrollment, its file, one notification of each kind; no others."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from services.certificates.domain import KINDS, Certificate, Enrollment, Notification
from services.certificates.ports import CertificateRecords
from shared.contracts.ids import notification_id
from shared.verification import Defect, Flaw, Unjudged


class Holding(NamedTuple):
    """What a completed enrollment has of certificates and notifications, and what is wrong with that."""

    enrollment_id: str
    certificates: Sequence[Certificate]
    notifications: Sequence[Notification]
    flaws: Sequence[Flaw]


async def examine(enrollment_ids: Collection[str], store: CertificateRecords) -> list[Holding]:
    """What those of these enrollments have that are completed, in a fixed number of round trips."""
    completed = await store.completed(enrollment_ids)
    certificates = await store.every_certificate(completed)
    told = await store.told([notification_id(kind, key) for key in completed for kind in KINDS])
    files = {c.file_id for some in certificates.values() for c in some if c.file_id is not None}
    whole = await store.whole_files(files) if files else ()
    return [_holding(key, certificates.get(key, ()), told, whole) for key in completed]


async def strays_among_certificates(certificates: Sequence[Certificate], store: CertificateRecords) -> list[Flaw]:
    """Those of these certificates whose enrollments are not completed."""
    ids = {certificate.enrollment_id for certificate in certificates}
    completed = await store.completed(ids)
    existing = await store.existing(ids - completed.keys()) if len(completed) < len(ids) else ()
    return [
        Flaw(
            Defect.CERTIFICATE_WITHOUT_COMPLETION if c.enrollment_id in existing else Unjudged.ENROLLMENT_GONE,
            c.enrollment_id,
            c.enrollment_id,
        )
        for c in certificates
        if c.enrollment_id not in completed
    ]


async def strays_among_notifications(notifications: Sequence[Notification], store: CertificateRecords) -> list[Flaw]:
    """Those of these notifications that no completed enrollment of their learner leads to, or that are told twice."""
    completed = await store.completed_by({notification.user_id for notification in notifications})
    right = {notification_id(kind, e.enrollment_id) for some in completed.values() for e in some for kind in KINDS}
    strays = [n for n in notifications if n.notification_id not in right]
    if not strays:
        return []
    learners = {n.user_id for n in strays}
    theirs = [
        notification_id(kind, e.enrollment_id) for user in learners for e in completed.get(user, ()) for kind in KINDS
    ]
    said = {(n.user_id, n.kind, n.link) for n in (await store.told(theirs)).values()}
    return [_stray(notification, said, completed) for notification in strays]


def _stray(
    stray: Notification, said: Collection[tuple[str, str, str]], completed: Mapping[str, Sequence[Enrollment]]
) -> Flaw:
    if (stray.user_id, stray.kind, stray.link) in said:
        return Flaw(Defect.DOUBLED_NOTIFICATION, stray.notification_id, "")
    known = stray.user_id in completed
    kind = Defect.NOTIFICATION_WITHOUT_COMPLETION if known else Unjudged.ENROLLMENT_GONE
    return Flaw(kind, stray.notification_id, "")


def _holding(
    key: str, certificates: Sequence[Certificate], told: Mapping[str, Notification], whole: Collection[str]
) -> Holding:
    notifications = {kind: told[n] for kind in KINDS if (n := notification_id(kind, key)) in told}
    kinds: list[Defect | Unjudged] = []
    if not certificates:
        kinds.append(Defect.MISSING_CERTIFICATE)
    if len(certificates) > 1:
        kinds.append(Defect.DOUBLED_CERTIFICATE)
    for certificate in certificates:
        if certificate.status in {"pending", "rendered"}:
            kinds.append(Defect.UNFINISHED_CERTIFICATE)
        elif certificate.status == "issued" and certificate.file_id is None:
            kinds.append(Unjudged.ISSUED_WITHOUT_FILE)
        elif certificate.status == "issued" and certificate.file_id not in whole:
            kinds.append(Defect.MISSING_FILE)
    issued = any(certificate.status == "issued" for certificate in certificates)
    wanted = [*(["course_completed"] if certificates else []), *(["certificate_ready"] if issued else [])]
    kinds += [Defect.MISSING_NOTIFICATION for kind in wanted if kind not in notifications]
    return Holding(key, certificates, list(notifications.values()), [Flaw(kind, key, key) for kind in kinds])
