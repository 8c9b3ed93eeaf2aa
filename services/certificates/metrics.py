"""Every metric of certificates, on an injected registry."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.certificates.ports import Uncertified
from shared.observability.propagation import Propagation

_OUTCOMES = ("issued", "retried", "failed", "revoked")


class CertificateMetrics:
    """What operators see of certificates."""

    def __init__(self, registry: CollectorRegistry) -> None:
        certificates = Counter(
            "lesson_progress_certificates",
            "Certificates by what was done: issued, tried again, failed (waits for an operator), revoked.",
            ["outcome"],
            registry=registry,
        )
        # Every child is there from the start: a rate over an absent series is no rate.
        self._certificates = {outcome: certificates.labels(outcome) for outcome in _OUTCOMES}
        self._propagation = Propagation(registry, "certificate")
        uncertified = Gauge(
            "lesson_progress_uncertified_enrollments",
            "Enrollments completed in the last 30 days, without a certificate: waiting for it, or it failed.",
            ["status"],
            registry=registry,
        )
        self._waiting, self._failed = uncertified.labels("waiting"), uncertified.labels("failed")
        self._uncertified_seconds = Gauge(
            "lesson_progress_uncertified_seconds",
            "How long ago the first of the waiting enrollments was completed; 0 where there is none.",
            registry=registry,
        )

    def count(self, outcome: str) -> None:
        """Count one certificate."""
        self._certificates[outcome].inc()

    def propagated(self, milliseconds: int) -> None:
        """Observe one new certificate that a learner's command led to."""
        self._propagation.observe(milliseconds)

    def uncertified(self, found: Uncertified, *, now: int) -> None:
        """Show how many completed enrollments have no certificate, and how long the first that waits has waited."""
        self._waiting.set(len(found.waiting))
        self._failed.set(found.failed)
        self._uncertified_seconds.set(max(0, now - min(found.waiting, default=now)) / 1000)
