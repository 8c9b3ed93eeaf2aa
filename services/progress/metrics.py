"""Every metric of progress, on an injected registry."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from shared.observability.propagation import Propagation

_HOUR = 3600.0
_DAY = 24 * _HOUR
_OUTCOMES = (
    "recorded",
    "already_recorded",
    "not_authenticated",
    "not_enrolled",
    "lesson_not_found",
    "module_not_found",
    "preview",
    "invalid",
)


class ProgressMetrics:
    """What operators see of progress."""

    def __init__(self, registry: CollectorRegistry) -> None:
        commands = Counter(
            "lesson_progress_commands",
            "Commands by outcome: already_recorded are double clicks, not_enrolled are access bugs.",
            ["outcome"],
            registry=registry,
        )
        # Children are kept: looking one up by its label costs as much as validating a record.
        self._commands = {outcome: commands.labels(outcome) for outcome in _OUTCOMES}
        self._age = Histogram(
            "lesson_progress_lesson_completion_age_seconds",
            "From enrollment to the marking of a lesson.",
            buckets=(60, _HOUR, 6 * _HOUR, _DAY, 7 * _DAY, 30 * _DAY, 90 * _DAY, 180 * _DAY, 365 * _DAY),
            registry=registry,
        )
        self._propagation = Propagation(registry, "recorded")

    def command(self, outcome: str) -> None:
        """Count one finished command."""
        if counter := self._commands.get(outcome):
            counter.inc()

    def recorded(self, *, age_ms: int, propagation_ms: int) -> None:
        """Observe one new record."""
        self._age.observe(age_ms / 1000)
        self._propagation.observe(propagation_ms)
