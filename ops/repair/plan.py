"""What a repair will send: said before it is done."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ops.repair.findings import Finding, Remedy


@dataclass(frozen=True, slots=True)
class Step:
    """How many findings of one kind one command heals; None where a person has to mend something first."""

    kind: str
    remedy: Remedy | None
    findings: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Each command once for each enrollment that needs it, however many of its findings it heals."""

    steps: Sequence[Step]
    commands: Sequence[tuple[Remedy, str]]

    @property
    def enrollment_ids(self) -> Sequence[str]:
        """The enrollments that commands are sent for."""
        return sorted({enrollment_id for _, enrollment_id in self.commands})

    @property
    def sent(self) -> dict[str, int]:
        """How many commands of each type."""
        return dict(sorted(Counter(str(remedy) for remedy, _ in self.commands).items()))


def plan(findings: Iterable[Finding]) -> Plan:
    """What heals these findings."""
    findings = list(findings)
    steps = Counter((finding.kind, finding.remedy) for finding in findings)
    commands = {(finding.remedy, finding.enrollment_id) for finding in findings if finding.remedy is not None}
    return Plan(
        [Step(kind, remedy, n) for (kind, remedy), n in sorted(steps.items(), key=lambda step: step[0][0])],
        sorted(commands),
    )
