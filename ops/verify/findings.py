"""What a verification found: every defect counted, some of them listed; ids and positions, never tokens or bodies."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.verification import Defect, Unjudged

#: What a record's fate is called in the report.
UNFINISHED = "unfinished"
SWALLOWED = "swallowed"
CANNOT_BE_JUDGED = "cannot_be_judged"


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect: its kind, whose it is, and where it can be seen."""

    kind: Defect
    subject: str
    note: str = ""

    def as_json(self) -> dict[str, str]:
        """For the report."""
        return {"kind": self.kind.value, "subject": self.subject} | ({"note": self.note} if self.note else {})


@dataclass
class Findings:
    """Everything found so far; `limit` is how many defects of each kind are listed."""

    limit: int = 20
    #: Where everything ought to be finished, what is not is a defect.
    settled: bool = False
    defects: Counter[Defect] = field(default_factory=Counter)
    unjudged: Counter[Unjudged] = field(default_factory=Counter)
    unfinished: Counter[str] = field(default_factory=Counter)
    #: By topic: how many of its records ended how.
    fates: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    #: How much was looked at.
    counts: Counter[str] = field(default_factory=Counter)
    #: What each group has committed, and what its partitions hold.
    partitions: list[dict[str, Any]] = field(default_factory=list)
    #: By partition: how many of its records below the committed offset have not ended, and the first of them.
    stuck: dict[str, tuple[int, str]] = field(default_factory=dict)
    _listed: defaultdict[Defect, list[Finding]] = field(default_factory=lambda: defaultdict(list))

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.defects

    @property
    def listed(self) -> list[Finding]:
        """The defects that are listed, kind by kind."""
        return [finding for kind in Defect for finding in self._listed.get(kind, ())]

    def defect(self, kind: Defect, subject: str, note: str = "") -> None:
        """Count a defect, and list it while there is room."""
        self.defects[kind] += 1
        if len(self._listed[kind]) < self.limit:
            self._listed[kind].append(Finding(kind, subject, note))

    def cannot_judge(self, reason: Unjudged, count: int = 1) -> None:
        """Count what is neither right nor wrong as far as can be seen."""
        self.unjudged[reason] += count

    def unfinished_yet(self, what: str, subject: str) -> None:
        """Count what is still on its way."""
        self.unfinished[what] += 1
        if self.settled:
            self.defect(Defect.UNSETTLED, subject, what)

    def not_ended(self, place: str) -> None:
        """Note a record that has not ended though its partition is committed beyond it."""
        partition = place.rpartition(":")[0]
        count, first = self.stuck.get(partition, (0, place))
        self.stuck[partition] = count + 1, first

    def fate(self, topic: str, name: str) -> None:
        """Count how one record ended."""
        self.fates[topic][name] += 1

    def as_json(self) -> dict[str, Any]:
        """The machine-readable result."""
        return {
            "healthy": self.healthy,
            "settled": self.settled,
            "fates": {topic: _sorted(fates) for topic, fates in sorted(self.fates.items())},
            "counts": _sorted(self.counts),
            "defects": {
                "total": self.defects.total(),
                "byKind": {kind.value: self.defects[kind] for kind in Defect if self.defects[kind]},
                "listedOfEachKind": self.limit,
                "listed": [finding.as_json() for finding in self.listed],
            },
            "cannotBeJudged": {reason.value: self.unjudged[reason] for reason in Unjudged if self.unjudged[reason]},
            "unfinished": _sorted(self.unfinished),
            "partitions": self.partitions,
        }


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))
