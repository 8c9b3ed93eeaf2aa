"""Every metric of certificates, on an injected registry."""

from prometheus_client import CollectorRegistry, Counter

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

    def count(self, outcome: str) -> None:
        """Count one certificate."""
        self._certificates[outcome].inc()

    def propagated(self, milliseconds: int) -> None:
        """Observe one new certificate that a learner's command led to."""
        self._propagation.observe(milliseconds)
