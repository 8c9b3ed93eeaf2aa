"""What a person sees of a replay: a live bar per stage, and a table at the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from ops.platform.counting import ExpectedFigures
from ops.replay.figures import Figures
from ops.replay.watching import STAGES, Watch, percentiles
from ops.tables import exact, prose

_REFRESH_SECONDS = 0.2
_LINE_SECONDS = 5.0


@asynccontextmanager
async def live(console: Console, watch: Watch, *, commands: int, expected: ExpectedFigures) -> AsyncIterator[None]:
    """Show how far each stage is while the block runs; without a terminal, a line every few seconds."""
    totals = {
        "commands sent": commands,
        "commands answered": commands,
        "enrollments progressed": expected.enrollments - expected.zero,
        "certificates issued": expected.certificates,
    }
    shown = Progress(
        TextColumn("{task.description:>24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[p50]}"), console=console, disable=not console.is_terminal,
    )  # fmt: skip
    tasks = {name: shown.add_task(name, total=total, p50="") for name, total in totals.items()}
    with shown:
        refreshing = asyncio.create_task(_refresh(console, shown, tasks, watch))
        try:
            yield
        finally:
            refreshing.cancel()
            with suppress(asyncio.CancelledError):
                await refreshing
            _update(shown, tasks, watch)


async def _refresh(console: Console, shown: Progress, tasks: dict[str, TaskID], watch: Watch) -> None:
    while True:
        _update(shown, tasks, watch)
        if not console.is_terminal:
            reached = ", ".join(f"{name} {done}" for name, done in _done(watch).items())
            console.print(reached, highlight=False)
        await asyncio.sleep(_REFRESH_SECONDS if console.is_terminal else _LINE_SECONDS)


def _done(watch: Watch) -> dict[str, int]:
    return {
        "commands sent": watch.sent,
        "commands answered": watch.answered,
        "enrollments progressed": len(watch.enrollments),
        "certificates issued": len(watch.certificates),
    }


def _update(shown: Progress, tasks: dict[str, TaskID], watch: Watch) -> None:
    stage_of = dict(zip(list(tasks)[1:], STAGES, strict=True))
    for name, done in _done(watch).items():
        latencies = watch.seconds[stage_of[name]][-500:] if name in stage_of else []
        p50 = f"{percentiles(latencies)['p50'] * 1000:.0f} ms" if latencies else ""
        shown.update(tasks[name], completed=done, p50=p50)


def summary(watch: Watch, figures: Figures, expected: ExpectedFigures, *, drift: int, dead_letters: int) -> Table:
    """The closing table: what is there, what was expected, how long it took to arrive."""
    table = Table(
        prose(""), exact("found", right=True), exact("expected", right=True),
        title="What arrived, and what the files say", title_justify="left",
    )  # fmt: skip
    for name, found, wanted in (
        ("completions", figures.completions, expected.completions),
        ("certificates", figures.certificates, expected.certificates),
        ("readable PDFs", figures.readable_pdfs, expected.certificates),
        ("enrollments between 0 and 100 %", figures.partial, expected.partial),
        ("enrollments at 0 %", figures.zero, expected.zero),
        ("drift", drift, 0),
        ("dead letters", dead_letters, 0),
    ):
        table.add_row(name, f"{found:,}", f"{wanted:,}")
    if watch.sent_again:
        table.add_row("commands sent again for want of an answer", f"{watch.sent_again:,}", "")
    table.add_section()
    for percent, count in sorted(figures.percentages.items()):
        table.add_row(f"  at {percent:6.2f} %", f"{count:,}", f"{expected.percentages.get(percent, 0):,}")
    table.add_section()
    for stage in STAGES:
        p = percentiles(watch.seconds[stage])
        figures_text = " / ".join(f"{p[name] * 1000:,.0f}" for name in ("p50", "p95", "p99"))
        table.add_row(f"command to {stage}, p50 / p95 / p99", f"{figures_text} ms", "")
    return table
