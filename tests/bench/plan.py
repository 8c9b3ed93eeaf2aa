"""What every benchmark is given, and what it hands back."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.bench.figures import Figure
from tests.bench.sending import Gateway


@dataclass(frozen=True, slots=True)
class Context:
    """What the person at the screen asked for."""

    rounds: int
    seconds: int
    #: Who signs the learners' tokens, the same for all stacks of this run.
    gateway: Gateway
    #: Hears one sentence for each step.
    tell: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a benchmark found."""

    figures: Sequence[Figure]
    #: The single measurements behind the figures.
    runs: Sequence[Mapping[str, Any]] = ()
    #: What was wrong with what was measured; the figures are worth nothing when there is one.
    problems: Sequence[str] = field(default=())


Benchmark: TypeAlias = Callable[[Context], Awaitable[Finding]]
