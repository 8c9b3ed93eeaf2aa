"""Completed courses and operators' commands in, outcomes out; no rules."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from services.certificates.domain import (
    CERTIFICATE_NOT_FOUND,
    OTHER_CERTIFICATE,
    Certificate,
    EnrollmentNotCompleted,
    Links,
    LostCertificate,
    Revocation,
)
from services.certificates.handlers import CertificateIssuer, Made, Restored, Revoked, restore, revoke
from services.certificates.messaging.events import certificate_revoked, in_order
from services.certificates.metrics import CertificateMetrics
from services.certificates.ports import Store
from shared.clock import Clock
from shared.contracts.certificates import CertificateRequested
from shared.contracts.operators import CertificateGenerate, CertificateRestore, CertificateRevoke
from shared.contracts.recalculator import CourseCompleted
from shared.kafka.records import Accepts, Outcome, Received, last_header, rejected

ACCEPTS = {
    CourseCompleted.TYPE: Accepts(CourseCompleted),
    CertificateGenerate.TYPE: Accepts(CertificateGenerate, token=True, operator=True),
    CertificateRevoke.TYPE: Accepts(CertificateRevoke, token=True, operator=True),
    CertificateRestore.TYPE: Accepts(CertificateRestore, token=True, operator=True),
}

Handled = CourseCompleted | CertificateGenerate | CertificateRevoke | CertificateRestore


class CertificateMessages:
    """Completed courses and operators' commands in, outcomes out."""

    def __init__(
        self,
        issuer: CertificateIssuer,
        store: Store,
        links: Links,
        metrics: CertificateMetrics,
        clock: Clock,
    ) -> None:
        self._issuer = issuer
        self._store = store
        self._links = links
        self._metrics = metrics
        self._clock = clock

    async def __call__(self, batch: Sequence[Received[Handled]]) -> list[Outcome]:
        """Handle a batch; what was lost comes back before a new one is made, and what is withdrawn waits for no page.

        A revocation that found nothing comes once more when the record that makes its certificate stood before it.
        """
        restored = await self._restore(batch)
        revoked = await self._revoke(batch)
        made = await self._make(batch, restored)
        late = _behind_their_makings(batch, made.keys() - revoked.keys())
        withdrawn = await self._revoke([batch[i] for i in late])
        outcomes: list[Outcome] = []
        for i, received in enumerate(batch):
            enrollment_id = received.message.enrollment_id
            if isinstance(received.message, CertificateRevoke):
                outcomes.append(self._revocation((withdrawn if i in late else revoked).get(enrollment_id)))
                if i in late and withdrawn[enrollment_id].waits is None:
                    # What stands behind the revocation says what it left, or the last word would be "issued".
                    made[enrollment_id] = _as_withdrawn(made[enrollment_id], withdrawn[enrollment_id])
            elif isinstance(received.message, CertificateRestore):
                outcomes.append(self._restoration(received.message, restored[enrollment_id], made.get(enrollment_id)))
            else:
                outcomes.append(self._issuance(received, made.get(enrollment_id)))
        return outcomes

    async def _revoke(self, batch: Sequence[Received[Handled]]) -> dict[str, Revoked]:
        revocations = {
            message.enrollment_id: Revocation(received.at, message.reason)
            for received in reversed(batch)
            if isinstance(message := received.message, CertificateRevoke)
        }
        revoked = await revoke(revocations, self._store) if revocations else {}
        for withdrawn in revoked.values():
            if withdrawn.now:
                self._metrics.count("revoked")
        return revoked

    async def _restore(self, batch: Sequence[Received[Handled]]) -> dict[str, Restored]:
        lost: dict[str, LostCertificate] = {}
        for received in batch:
            if isinstance(m := received.message, CertificateRestore):
                one = LostCertificate(
                    m.certificate_id, m.enrollment_id, m.user_id, m.course_id, m.issued_at, m.revoked_at
                )
                lost[m.enrollment_id] = lost.get(m.enrollment_id, one).repeated(one)
        return await restore(lost, self._store) if lost else {}

    async def _make(self, batch: Sequence[Received[Handled]], restored: Mapping[str, Restored]) -> dict[str, Made]:
        wanted = {r.message.enrollment_id for r in batch if _makes(r.message, restored)}
        again = {r.message.enrollment_id for r in batch if isinstance(r.message, CertificateGenerate)}
        made = await self._issuer.issue(wanted, again) if wanted else {}
        self._measure(made, {r.message.enrollment_id for r in batch if _follows_from_a_command(r)})
        return made

    def _measure(self, made: Mapping[str, Made], caused: set[str]) -> None:
        now = self._clock()
        for enrollment_id, one in made.items():
            for outcome, happened in (("issued", one.issued), ("failed", one.failed), ("retried", one.retried)):
                if happened:
                    self._metrics.count(outcome)
            if one.issued and enrollment_id in caused:
                self._metrics.propagated(now - one.completed_at)

    def _issuance(self, received: Received[Handled], made: Made | None) -> Outcome:
        """What follows from `course.completed.v1` or `certificate.generate.v1`."""
        message = received.message
        if made is None:
            if isinstance(message, CourseCompleted):
                return Outcome("dead_letter", failure=EnrollmentNotCompleted())
            return rejected(CERTIFICATE_NOT_FOUND)
        if made.waits is not None:
            return Outcome("waits", failure=made.waits)
        certificate = made.certificate
        events = in_order(certificate, made.notifications, self._links)
        if not isinstance(message, CourseCompleted):
            return Outcome(_word(made), events=events, reply=_requested(certificate))
        return Outcome(
            _word(made),
            events=events,
            log_event="certificate.triggered",
            log_fields={
                "userId": certificate.user_id,
                "courseId": certificate.course_id,
                "timestamp": made.completed_at,
            },
        )

    def _restoration(self, message: CertificateRestore, restored: Restored, made: Made | None) -> Outcome:
        """What follows from `certificate.restore.v1`: its page too, when the enrollment is completed already."""
        if restored.certificate is None or not restored.holds(message.certificate_id):
            return rejected(OTHER_CERTIFICATE)
        waits = restored.waits or (made.waits if made is not None else None)
        if waits is not None:
            return Outcome("waits", failure=waits)
        if made is None:
            return Outcome("restored", reply=_requested(restored.certificate))
        events = in_order(made.certificate, made.notifications, self._links)
        return Outcome("restored", events=events, reply=_requested(made.certificate))

    @staticmethod
    def _revocation(revoked: Revoked | None) -> Outcome:
        """What follows from `certificate.revoke.v1`."""
        if revoked is None:
            return rejected(CERTIFICATE_NOT_FOUND)
        if revoked.waits is not None:
            return Outcome("waits", failure=revoked.waits)
        certificate = revoked.certificate
        return Outcome("revoked", events=[certificate_revoked(certificate)], reply=_requested(certificate))


def _makes(message: Handled, restored: Mapping[str, Restored]) -> bool:
    """Whether the enrollment's certificate is to be made: not for a revocation, nor for a restore that is refused."""
    if isinstance(message, CertificateRestore):
        return restored[message.enrollment_id].holds(message.certificate_id)
    return not isinstance(message, CertificateRevoke)


def _behind_their_makings(batch: Sequence[Received[Handled]], enrollment_ids: Collection[str]) -> Sequence[int]:
    """The places of these enrollments' revocations that stand behind a record that makes their certificate."""
    makings: set[str] = set()
    behind = []
    for i, received in enumerate(batch):
        enrollment_id = received.message.enrollment_id
        if not isinstance(received.message, CertificateRevoke):
            makings.add(enrollment_id)
        elif enrollment_id in makings and enrollment_id in enrollment_ids:
            behind.append(i)
    return behind


def _as_withdrawn(made: Made, withdrawn: Revoked) -> Made:
    return replace(made, certificate=withdrawn.certificate, issued=False, failed=False, retried=False)


def _follows_from_a_command(received: Received[Handled]) -> bool:
    """Whether a learner's command led to this completion: a sweep's event names no cause."""
    return (
        isinstance(received.message, CourseCompleted)
        and last_header(received.record.headers, "ce_causationid") is not None
    )


def _word(made: Made) -> str:
    if made.issued:
        return "issued"
    if made.failed or made.certificate.status == "failed":
        return "failed"
    if made.certificate.status == "revoked":
        return "revoked"
    return "made_again" if made.retried else "issued_before"


def _requested(certificate: Certificate) -> CertificateRequested:
    """What came of the request: `failed` also where an issued certificate could not be made again and stayed."""
    stayed = certificate.status == "issued" and certificate.failure is not None
    return CertificateRequested(
        certificate_id=certificate.certificate_id, status="failed" if stayed else certificate.status
    )
