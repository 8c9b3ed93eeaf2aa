"""The fault suite, every row of the reliability document's table with real processes: `python -m tests.faults.rows`."""

import argparse
import asyncio
import json
import re
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ops.stacks import StackKind, missing_parts
from tests.faults.rows.catalog import Row
from tests.faults.rows.pool import Pool
from tests.faults.rows.report import Board, as_json, source, unread
from tests.faults.rows.table import ROWS
from tests.faults.rows.verdicts import CHECKER, Task, Verdict

_FAILURES = Path(__file__).parents[3] / "build" / "faults"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run rows; answers 0 when every one passed, 1 when one failed, 2 when they could not be run, 130 on Ctrl-C."""
    options = _parser().parse_args(arguments)
    rows = [row for row in ROWS if row.number in options.rows and (row.quick or not options.quick)]
    console = Console(stderr=options.json)
    known = {row.number for row in ROWS}
    if not rows or not known.issuperset(options.rows):
        console.print("There is no such row, or none that is quick. `--list` names them all.", style="bold red")
        return 2
    if options.list:
        _list(console, rows)
        return 0
    if missing := missing_parts(StackKind.KAFKA):
        console.print(f"{'. '.join(missing)}. `make parts` fetches and builds what is missing.", style="bold red")
        return 2
    board = Board(console, rows, options.seeds)
    began, tried = time.monotonic(), source()
    interrupted = False
    try:
        asyncio.run(_run(options, rows, board))
    except (KeyboardInterrupt, asyncio.CancelledError):
        interrupted = True
    seconds = time.monotonic() - began
    found = as_json(rows, options.seeds, board.results, tried=tried, seconds=seconds, quick=options.quick)
    if options.report is not None:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(json.dumps(found, indent=2) + "\n")
    if options.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    console.print(board.table())
    return 130 if interrupted else _conclude(console, board, rows, options.seeds, seconds)


def _conclude(console: Console, board: Board, rows: Sequence[Row], seeds: Sequence[int], seconds: float) -> int:
    failed = sum(result.verdict is Verdict.FAILED for result in board.results.values())
    ran = sum(row != CHECKER for row, _ in board.results)
    missing = len(rows) * len(seeds) - ran
    not_read = unread(board.results)
    sentence = f"{ran} runs in {seconds / 60:.1f} min: {failed} failed, {missing} did not run"
    console.print(sentence + (f", {not_read} stacks were not read" if not_read else ""), highlight=False)
    return 1 if failed or missing or not_read else 0


async def _run(options: argparse.Namespace, rows: Sequence[Row], board: Board) -> None:
    current = asyncio.current_task()
    assert current is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
    shutil.rmtree(options.failures, ignore_errors=True)
    waiting = [] if options.quick else [row for row in rows if row.waits]
    ordinary = [row for row in rows if row not in waiting]
    pool = Pool(options.failures, begun=board.begun, ended=board.ended)
    with board:
        await pool.run(
            [
                (_tasks(ordinary, options), options.lanes),
                (_tasks(waiting, options), options.waiting),
            ]
        )


def _tasks(rows: Sequence[Row], options: argparse.Namespace) -> list[Task]:
    return [Task(row.number, seed, options.quick) for row in rows for seed in options.seeds]


def _list(console: Console, rows: Sequence[Row]) -> None:
    for row in rows:
        console.print(f"[bold]{row.number:>2}  {row.title}[/]", highlight=False)
        console.print(f"    made: {row.made}\n    asserted: {row.asserted}", highlight=False)


def _numbers(text: str) -> list[int]:
    """`1,5-9` as numbers, in order."""
    parts = [re.fullmatch(r"(\d+)(?:-(\d+))?", part) for part in text.split(",")]
    if not all(parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers like 1,5-9")
    return sorted({number for part in parts if part for number in range(int(part[1]), int(part[2] or part[1]) + 1)})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.rows",
        description="Make every fault of the reliability document's table on Apache Kafka and the Rust database "
        "server, and hold the product to its promise: nothing lost, nothing doubled. Everything is on 127.0.0.1.",
    )
    parser.add_argument("--rows", type=_numbers, default=[row.number for row in ROWS], metavar="N,N-N", help="which")
    parser.add_argument("--seeds", type=_numbers, default=[1, 2, 3], metavar="N,N", help="with which (default: 1-3)")
    parser.add_argument("--lanes", type=int, default=2, metavar="N", help="stacks side by side (default: 2)")
    parser.add_argument(
        "--waiting", type=int, default=5, metavar="N", help="stacks beside them for rows that only wait (default: 5)"
    )
    parser.add_argument("--quick", action="store_true", help="only the rows that are quick, with short outages")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what was found to this file as JSON")
    parser.add_argument("--json", action="store_true", help="print it as JSON; everything else goes to stderr")
    parser.add_argument("--list", action="store_true", help="say of every row how it is made and what is asserted")
    parser.add_argument(
        "--failures",
        type=Path,
        default=_FAILURES,
        metavar="DIR",
        help="where logs and dumps go (default: build/faults)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
