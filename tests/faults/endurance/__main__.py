"""Trials of endurance on real parts, by name: `python -m tests.faults.endurance NAME`."""

import argparse
import asyncio
import json
import logging
import random
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import uvloop
from rich.console import Console

from ops.errors import OperatorError
from ops.stacks import StackError
from tests.bench.groups import Stalled
from tests.bench.plan import Finding
from tests.bench.report import as_json, show
from tests.faults.endurance import backlog, chaos, idle, poison, replies
from tests.faults.endurance.trial import Run, Trial


class _Named(NamedTuple):
    run: Run
    options: Callable[[argparse.ArgumentParser], None]


TRIALS = {
    "chaos": _Named(chaos.run, chaos.options),
    "idle": _Named(idle.run, idle.options),
    "backlog": _Named(backlog.run, backlog.options),
    "poison": _Named(poison.run, poison.options),
    "replies": _Named(replies.run, replies.options),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one trial; answers 0 when everything held, 1 when something did not, 2 when it could not be run."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=options.json)
    try:
        if options.report is not None:
            options.report.parent.mkdir(parents=True, exist_ok=True)
            options.report.touch()  # that it cannot be written is known before the time has passed
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            finding = runner.run(_run(options, console))
        found = {**as_json({options.trial: finding}), "seed": options.seed}
        if options.report is not None:
            options.report.write_text(json.dumps(found, indent=2) + "\n")
    except (StackError, OperatorError, Stalled) as failure:
        console.print(str(failure), style="bold red", highlight=False)
        return 2
    except OSError as failure:
        console.print(f"{failure.filename} cannot be used: {failure.strerror}", style="bold red", highlight=False)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):  # Ctrl-C, SIGTERM
        console.print(f"interrupted; --seed {options.seed} repeats it", highlight=False)
        return 130
    if options.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return _sentence(options, console, finding)


def _sentence(options: argparse.Namespace, console: Console, finding: Finding) -> int:
    """Say in one sentence how it ended."""
    wrong = [*finding.problems, *(f"{f.name} is {f.value:g}" for f in finding.figures if f.met is False)]
    if wrong:
        sentence = f"{options.trial} failed: {'; '.join(wrong)} (--seed {options.seed} repeats it)"
        console.print(sentence, style="bold red", highlight=False)
        return 1
    console.print(f"{options.trial}: everything held (--seed {options.seed})", style="bold")
    return 0


async def _run(options: argparse.Namespace, console: Console) -> Finding:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    trial = Trial(options, options.seed, options.directory, console)
    trial.tell(f"{options.trial}, --seed {options.seed}")
    finding = await TRIALS[options.trial].run(trial)
    show(console, options.trial, finding)
    return finding


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.endurance",
        description="Try how long the product holds under kills, silence and overload; all on 127.0.0.1.",
    )
    trials = parser.add_subparsers(dest="trial", required=True, metavar="NAME")
    for name, (run, options) in TRIALS.items():
        about = (run.__doc__ or "").splitlines()[0]
        trial = trials.add_parser(name, help=about, description=about)
        options(trial)
        trial.add_argument("--seed", type=int, default=random.randrange(10_000), metavar="N", help="repeats a run")  # noqa: S311 - no secret
        trial.add_argument("--directory", type=Path, metavar="DIR", help="keep keys, data and logs here")
        trial.add_argument("--report", type=Path, metavar="FILE", help="write what was found to this file as JSON")
        trial.add_argument("--json", action="store_true", help="print it as JSON; everything else goes to stderr")
    return parser


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that a broker is away is what is tried here
    with suppress(BrokenPipeError):
        sys.exit(main())
