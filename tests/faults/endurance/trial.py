"""What every trial is given: what was asked for, where it runs, and who hears about it."""

import argparse
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rich.console import Console

from tests.bench.plan import Finding


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a trial."""

    #: Its own options, as `options` of its module declares them.
    asked: argparse.Namespace
    #: Repeats whatever is left to chance.
    seed: int
    #: Where keys, data and logs are kept; None: in a folder that is removed at the end.
    directory: Path | None
    console: Console

    def tell(self, sentence: str) -> None:
        """Say one sentence about a step."""
        self.console.print(sentence, highlight=False, soft_wrap=True)


Run: TypeAlias = Callable[[Trial], Awaitable[Finding]]
