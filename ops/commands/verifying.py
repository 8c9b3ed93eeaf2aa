"""`verify`: whether every command ended in one way, and every fact has what follows from it."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.commands.options import JsonOption, ReportOption, bars, console, print_json, results, run, write_report
from ops.errors import OperatorError

if TYPE_CHECKING:
    from rich.console import Console

    from ops.target import Target
    from ops.verify.findings import Findings

# What does the work is imported when a command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415


def verify(
    settled: Annotated[
        bool, typer.Option("--settled", help="Everything ought to be finished: what is still on its way is a defect.")
    ] = False,
    listed: Annotated[
        int, typer.Option(min=0, max=100_000, help="How many defects of each kind are listed; all are counted.")
    ] = 20,
    as_json: JsonOption = False,
    report: ReportOption = None,
) -> None:
    """Compare topics and collections: every command ended once, every event has its fact, every fact its event.

    It only reads, and joins no consumer group. A temporary index takes about 300 bytes a record in TMPDIR.
    """
    from ops.target import current
    from ops.verify.findings import Findings
    from ops.verify.report import show
    from shared.verification import Unjudged

    findings = Findings(limit=listed, settled=settled)
    seconds = run(_verify(current(), findings, console()), interrupted="nothing was changed")
    result: dict[str, Any] = findings.as_json() | {"seconds": round(seconds, 1)}
    if as_json:
        print_json(result)
    else:
        show(findings, results(report=report))
    write_report(report, result)
    if not findings.healthy:
        kinds = ", ".join(f"{kind.value} {count}" for kind, count in findings.defects.most_common())
        raise OperatorError(
            f"{findings.defects.total()} defects: {kinds}; the runbook's paragraph Verify says what to do about each"
        )
    if unread := findings.unjudged[Unjudged.UNREADABLE_PARTITION]:
        raise OperatorError(
            f"{unread} records could not be read, and nothing is known of them: see that every broker is up, and run "
            "the command again"
        )


async def _verify(target: "Target", findings: "Findings", out: "Console") -> float:
    """Verify; answers how many seconds it took."""
    from time import perf_counter

    from ops.unreadable import Sieve
    from ops.verify.index import Index
    from ops.verify.judges import judges_of
    from ops.verify.reading import kafka_log
    from ops.verify.run import Verification
    from shared.clock import system_clock

    started = perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="lesson-progress-verify-") as folder,
        bars(out) as progress,
    ):
        tasks: dict[str, Any] = {}

        def on_progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=None)
            progress.update(tasks[what], completed=done, total=max(done, total) or None)

        index = Index(Path(folder))
        try:
            sieve = Sieve(index.add_unreadable)
            async with kafka_log(target) as log, judges_of(target, sieve) as judges:
                await Verification(judges, log, index, findings, system_clock, on_progress).run()
        finally:
            index.close()
    return perf_counter() - started
