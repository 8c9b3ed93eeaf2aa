"""How long a fact takes to arrive: one histogram, of which every service measures its own stage."""

from typing import Literal

from prometheus_client import CollectorRegistry, Histogram

#: Seconds from the command's record time; fine where screens live, coarse where backlogs do.
PROPAGATION_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200)

Stage = Literal["recorded", "progressed", "certificate"]


class Propagation:
    """How long facts take from the command's record time to one stage."""

    def __init__(self, registry: CollectorRegistry, stage: Stage) -> None:
        self._seconds = Histogram(
            "lesson_progress_propagation_seconds",
            "From the command's record time to this stage, for facts that are new.",
            ["stage"],
            buckets=PROPAGATION_BUCKETS,
            registry=registry,
        ).labels(stage)

    def observe(self, milliseconds: int) -> None:
        """Observe one new fact; clocks that disagree make no time negative."""
        self._seconds.observe(max(0, milliseconds) / 1000)
