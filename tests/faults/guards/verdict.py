"""What taking the guards out has shown: as a table for people, as JSON for machines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.faults.guards.guard import Guard
from tests.faults.guards.running import Colour, Result


@dataclass(frozen=True, slots=True)
class Verdict:
    """One guard, what its tests did without it, and how long that took (seconds)."""

    guard: Guard
    results: Sequence[Result]
    seconds: float
    #: Why it could not be taken out.
    problem: str = ""

    @property
    def caught(self) -> bool:
        """Whether every test that is named for it failed, by an assertion."""
        return bool(self.results) and all(result.colour is Colour.RED for result in self.results)

    @property
    def word(self) -> str:
        """It, in a word."""
        if self.caught:
            return "caught"
        return "escaped" if any(r.colour is Colour.GREEN for r in self.results) else "unclear"


def as_json(green: Sequence[Result], verdicts: Sequence[Verdict], seconds: float) -> dict[str, Any]:
    """Everything that was found; times in seconds."""
    return {
        "seconds": round(seconds, 1),
        "unchanged": {result.test: result.colour for result in green},
        "caught": sum(verdict.caught for verdict in verdicts),
        "guards": [
            {
                "name": v.guard.name,
                "keeps": v.guard.keeps,
                "rows": list(v.guard.rows),
                "file": v.guard.file,
                "verdict": v.word,
                "seconds": round(v.seconds, 1),
                "problem": v.problem,
                "tests": [{"test": r.test, "colour": r.colour, "by": r.by} for r in v.results],
            }
            for v in verdicts
        ],
    }


def show(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Guard, tests, verdict and time, one row each."""
    table = Table("guard", "tests", "verdict", "seconds", show_lines=False)
    for verdict in verdicts:
        style = "green" if verdict.caught else "bold red"
        tests = "\n".join(f"{_short(r.test)}: {r.colour}{_by(r)}" for r in verdict.results) or verdict.problem
        table.add_row(verdict.guard.name, tests, f"[{style}]{verdict.word}[/]", f"{verdict.seconds:.1f}")
    console.print(table)


def _short(test: str) -> str:
    return test.rpartition("::")[2]


def _by(result: Result) -> str:
    return "" if result.colour in {Colour.RED, Colour.GREEN} or not result.by else f" ({result.by})"
