"""The table of row, seed, verdict and time: while it goes, at the end, and as JSON for the reliability document."""

import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from tests.bench.report import machine
from tests.faults.rows.catalog import Row
from tests.faults.rows.verdicts import CHECKER, Result, Task, Verdict

_CHECKOUT = Path(__file__).parents[3]


class Board:
    """What is running and what is done; a live table on a terminal, a line for each result elsewhere."""

    def __init__(self, console: Console, rows: Sequence[Row], seeds: Sequence[int]) -> None:
        self._console = console
        self._rows = rows
        self._seeds = seeds
        self._running: set[tuple[int, int]] = set()
        self.results: dict[tuple[int, int], Result] = {}
        self._live = Live(console=console, get_renderable=self.table, transient=True, refresh_per_second=2)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def begun(self, task: Task) -> None:
        """A row runs with a seed."""
        self._running.add((task.row, task.seed))

    def ended(self, result: Result) -> None:
        """It has ended."""
        self._running.discard((result.row, result.seed))
        self.results[result.row, result.seed] = result
        failed = result.verdict is not Verdict.PASSED
        if failed or not self._console.is_terminal:
            what = (
                f"checker of lane {result.seed}"
                if result.row == CHECKER
                else f"row {result.row:>2}, seed {result.seed}"
            )
            line = f"{what}: {result.verdict} after {result.seconds:.1f} s"
            self._console.print(line, style="bold red" if failed else "", highlight=False)
        if failed:
            self._console.print(f"  {result.what}", highlight=False, markup=False)
            if result.folder:
                self._console.print(f"  logs and dumps: {result.folder}", highlight=False, markup=False)

    def table(self) -> Table:
        """Rows down, seeds across."""
        table = Table()
        table.add_column("#", justify="right")
        table.add_column("fault")
        for seed in self._seeds:
            table.add_column(f"seed {seed}", justify="right")
        for row in self._rows:
            table.add_row(str(row.number), row.title, *(self._cell(row.number, seed) for seed in self._seeds))
        for (number, lane), result in sorted(self.results.items()):
            if number == CHECKER:
                table.add_row("", f"the checker, over all of lane {lane}", f"{result.verdict} {result.seconds:.1f} s")
        return table

    def _cell(self, row: int, seed: int) -> str:
        if (row, seed) in self._running:
            return "runs"
        if (result := self.results.get((row, seed))) is None:
            return ""
        style = "green" if result.verdict is Verdict.PASSED else "bold red"
        return f"[{style}]{result.verdict} {result.seconds:.1f} s[/]"


def source() -> dict[str, Any]:
    """What is tried: the commit, and whether anything differs from it; to be asked before a run."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def as_json(
    rows: Sequence[Row],
    seeds: Sequence[int],
    results: Mapping[tuple[int, int], Result],
    *,
    tried: Mapping[str, Any],
    seconds: float,
    quick: bool,
) -> dict[str, Any]:
    """Everything that was found, with what it was found on; `tried` is the source of before the run."""
    return {
        "ranAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "product": version("lesson-progress"),
        **tried,
        "machine": machine(),
        "quick": quick,
        "seeds": list(seeds),
        "seconds": round(seconds, 1),
        "rows": [
            {
                "number": row.number,
                "fault": row.title,
                "made": row.made,
                "asserted": row.asserted,
                "runs": [_run(results[row.number, seed]) for seed in seeds if (row.number, seed) in results],
            }
            for row in rows
        ],
        "checker": [_run(result) for (row, _), result in sorted(results.items()) if row == CHECKER],
        "stacksNotRead": unread(results),
    }


def unread(results: Mapping[tuple[int, int], Result]) -> int:
    """How many stacks the checker could not read: what rows have left there, nobody knows."""
    return sum(result.verdict is Verdict.UNREAD for result in results.values())


def _run(result: Result) -> dict[str, Any]:
    whose = "lane" if result.row == CHECKER else "seed"
    told: dict[str, Any] = {whose: result.seed, "verdict": result.verdict, "seconds": round(result.seconds, 1)}
    return told | ({"what": result.what} if result.what else {})


def _git(*words: str) -> str:
    """What git says of this checkout; empty where there is none."""
    try:
        ended = subprocess.run(["git", "-C", str(_CHECKOUT), *words], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except OSError:
        return ""
    return ended.stdout.strip()
