"""What a repair will send: said before it is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ops.repair.findings import Remedy


@dataclass(frozen=True, slots=True)
class Step:
    """How many findings of one kind one command heals; None where a person has to mend something first."""

    kind: str
    remedy: Remedy | None
    findings: int
    #: Nothing is sent, because something of their enrollments cannot be taken back.
    held_back: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What heals the findings, and how many commands of each type that is."""

    steps: Sequence[Step]
    sent: Mapping[str, int]

    @property
    def commands(self) -> int:
        """How many commands are sent."""
        return sum(self.sent.values())
