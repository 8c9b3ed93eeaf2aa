"""Every metric of certificates, on an injected registry."""

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge

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
        self._uncertified = Gauge(
            "lesson_progress_uncertified_enrollments",
            "Enrollments completed in the last 30 days whose certificate was neither issued nor revoked.",
            registry=registry,
        )
        self._uncertified_seconds = Gauge(
            "lesson_progress_uncertified_seconds",
            "How long ago the first of these enrollments was completed; 0 where there is none.",
            registry=registry,
        )

    def count(self, outcome: str) -> None:
        """Count one certificate."""
        self._certificates[outcome].inc()

    def propagated(self, milliseconds: int) -> None:
        """Observe one new certificate that a learner's command led to."""
        self._propagation.observe(milliseconds)

    def uncertified(self, completed_at: Collection[int], *, now: int) -> None:
        """Show how many completed enrollments wait for their certificate, and how long the first has waited."""
        self._uncertified.set(len(completed_at))
        self._uncertified_seconds.set(max(0, now - min(completed_at, default=now)) / 1000)
