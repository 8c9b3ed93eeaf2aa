"""What a replay sends, and in which order."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ops.platform.datasets import Dataset, PlannedCompletion


@dataclass(frozen=True, slots=True)
class PlannedCommand:
    """One command; `index` is its place in the plan, `first` tells it from its later copies."""

    index: int
    completion: PlannedCompletion
    first: bool


def plan(dataset: Dataset, *, copies: int = 1, shuffled: bool = False, seed: int = 0) -> list[PlannedCommand]:
    """Every completion `copies` times: as the learners did it, or in a random order that `seed` repeats."""
    completions: Sequence[PlannedCompletion] = [c for c in dataset.completions for _ in range(copies)]
    if shuffled:
        completions = random.Random(seed).sample(completions, len(completions))  # noqa: S311 - an order, no secret
    seen: set[tuple[str, str]] = set()
    commands: list[PlannedCommand] = []
    for index, completion in enumerate(completions):
        key = (completion.user_id, completion.lesson_id)
        commands.append(PlannedCommand(index, completion, key not in seen))
        seen.add(key)
    return commands
