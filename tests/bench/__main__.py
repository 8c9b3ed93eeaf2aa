"""Benchmarks on Apache Kafka and the Rust database server, by name: `python -m tests.bench [NAME…]`."""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import uvloop
from rich.console import Console

from ops.errors import OperatorError
from ops.stacks import StackError
from tests.bench import backlog, queries, recalculation, steady
from tests.bench.groups import Stalled
from tests.bench.plan import Benchmark, Context, Finding
from tests.bench.report import as_json, show
from tests.bench.sending import Gateway

BENCHMARKS: dict[str, Benchmark] = {
    "backlog": backlog.without_pdfs,
    "backlog-pdf": backlog.with_pdfs,
    "recalculation": recalculation.measure,
    "steady": steady.measure,
    "queries": queries.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run benchmarks; answers 0 when every figure is as it ought to be, 1 when not, 2 when one could not be run."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=options.json)
    findings: dict[str, Finding] = {}
    try:
        _write(options.report, findings)  # that it cannot be written is known before hours have passed
    except OSError as failure:
        console.print(f"The report cannot be written to {options.report}: {failure.strerror}", style="bold red")
        return 2
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(options, console, findings))
    except (StackError, OperatorError, Stalled) as failure:
        console.print(str(failure), style="bold red", highlight=False)
        return 2
    except KeyboardInterrupt:
        return 130
    if options.json:
        sys.stdout.write(json.dumps(as_json(findings), indent=2) + "\n")
    right = all(figure.met is not False for f in findings.values() for figure in f.figures)
    return 0 if right and not any(f.problems for f in findings.values()) else 1


def _write(report: Path | None, findings: Mapping[str, Finding]) -> None:
    """Write what was found so far, at once: a run that is interrupted leaves what it had."""
    if report is None:
        return
    report.parent.mkdir(parents=True, exist_ok=True)
    unfinished = report.with_name(f".{report.name}.unfinished")
    unfinished.write_text(json.dumps(as_json(findings), indent=2) + "\n")
    unfinished.replace(report)


async def _run(options: argparse.Namespace, console: Console, findings: dict[str, Finding]) -> None:
    """Run what was asked for, one benchmark after the other, each added to the findings and to the report."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with tempfile.TemporaryDirectory(prefix="lesson-progress-bench-") as directory:
        context = Context(
            rounds=options.rounds,
            seconds=options.seconds,
            gateway=Gateway(Path(directory)),
            tell=lambda sentence: console.print(sentence, highlight=False),
        )
        for name in options.names or BENCHMARKS:
            console.rule(name, align="left")
            findings[name] = await BENCHMARKS[name](context)
            _write(options.report, findings)
            show(console, name, findings[name])


def _parser() -> argparse.ArgumentParser:
    names = "\n".join(f"  {name:<14}{(run.__doc__ or '').splitlines()[0]}" for name, run in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure the product on Apache Kafka and the Rust database server, all on 127.0.0.1.",
        epilog=f"benchmarks (all when none is named):\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="NAME", help="benchmarks to run")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the figures to this file as JSON")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON; everything else goes to stderr")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each side (default: 3)")
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="how long `steady` lasts (default: 60)")
    return parser


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main())
