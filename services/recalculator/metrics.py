"""Every metric of the recalculator, on an injected registry."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.observability.propagation import Propagation

_DURATIONS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class RecalculatorMetrics:
    """What operators see of the recalculator."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._duration = Histogram(
            "lesson_progress_recalculation_duration_seconds",
            "How long the enrollments of one batch of messages took to recalculate and store.",
            buckets=_DURATIONS,
            registry=registry,
        )
        self._enrollments = Histogram(
            "lesson_progress_recalculation_batch_enrollments",
            "Enrollments recalculated for one batch of messages.",
            buckets=_SIZES,
            registry=registry,
        )
        self._propagation = Propagation(registry, "progressed")
        self._ratio = Gauge(
            "lesson_progress_course_completion_ratio",
            "Completed enrollments / all, of the courses with the most enrollments.",
            ["course_id"],
            registry=registry,
        )
        self._shown: set[str] = set()
        self.drift = Gauge(
            "lesson_progress_drift_enrollments",
            "Stored percentages that differ from the facts, as the audit in the background knows; healthy is 0.",
            registry=registry,
        )
        self.open_sweeps = Gauge(
            "lesson_progress_open_sweeps",
            "Changed courses whose enrollments are still to be recalculated.",
            registry=registry,
        )
        self.failed_sweeps = Counter(
            "lesson_progress_sweep_failures",
            "Pages of changed courses that could not be recalculated and are tried again.",
            registry=registry,
        )

    def recalculated(self, *, seconds: float, enrollments: int) -> None:
        """Observe the enrollments of one batch of messages."""
        self._duration.observe(seconds)
        self._enrollments.observe(enrollments)

    def progressed(self, *, propagation_ms: int) -> None:
        """Observe one new fact that has reached its percentage."""
        self._propagation.observe(propagation_ms)

    def completion_ratios(self, ratios: Mapping[str, float]) -> None:
        """Show these courses, and no longer those that are not among them."""
        for course_id, ratio in ratios.items():
            self._ratio.labels(course_id).set(ratio)
        for gone in self._shown - ratios.keys():
            self._ratio.remove(gone)
        self._shown = set(ratios)
