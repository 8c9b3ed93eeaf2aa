"""What a benchmark finds: figures that say what they are, how they were measured, and what they ought to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure ought to be, and what it is hoped to be."""

    kind: Literal["at least", "less than"]
    value: float
    aim: float | None = None

    def met_by(self, value: float) -> bool:
        """Whether this value is as it ought to be."""
        return value >= self.value if self.kind == "at least" else value < self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a benchmark."""

    name: str
    value: float
    unit: str
    #: How it was measured, in a sentence.
    how: str
    bar: Bar | None = None
    #: What stands behind `value`: one number a round, or percentiles.
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether it is as it ought to be; None where nothing is asked."""
        return None if self.bar is None else self.bar.met_by(self.value)

    def as_json(self) -> dict[str, Any]:
        """The figure for machines."""
        bar = self.bar
        asked = None if bar is None else {"kind": bar.kind, "value": bar.value, "aim": bar.aim, "met": self.met}
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "how": self.how,
            "bar": asked,
            "details": dict(self.details),
        }


def percentile(values: Sequence[float], percent: float) -> float:
    """The percentile by nearest rank.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def latency(name: str, seconds: Sequence[float], *, how: str, bar: Bar | None = None, percent: int = 95) -> Figure:
    """A percentile of some durations, in milliseconds; the others go with it."""
    shown = {f"p{p}": round(percentile(seconds, p) * 1000, 2) for p in (50, 95, 99)}
    details = {**shown, "longest": round(max(seconds) * 1000, 2), "measured": len(seconds)}
    return Figure(f"{name}, p{percent}", shown[f"p{percent}"], "ms", how, bar, details)


def ratio(name: str, ours: Sequence[float], theirs: Sequence[float], *, how: str, bar: Bar | None = None) -> Figure:
    """The median of the ratios pair by pair; its spread goes with it."""
    pairs = [round(our / their, 3) for our, their in zip(ours, theirs, strict=True)]
    details = {"pairs": pairs, "least": min(pairs), "most": max(pairs)}
    return Figure(name, round(median(pairs), 3), "", how, bar, details)
