"""Takes each guard out of a copy of the source, and its tests must turn red: `python -m tests.faults.guards`."""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from time import monotonic
from typing import TypeAlias

from rich.console import Console
from rich.progress import Progress

from tests.faults.guards.guard import Guard, WrongGuard, chosen, read_guards
from tests.faults.guards.running import Colour, Result, Runner, runner
from tests.faults.guards.tree import Tree
from tests.faults.guards.verdict import Verdict, as_json, show

_IN_MEMORY = ("tests/unit", "tests/component")

#: A copy of the source, and what runs tests in it.
Place: TypeAlias = tuple[Tree, Runner]


def main(arguments: Sequence[str] | None = None) -> int:
    """Answers 0 when every guard is caught, 1 when one is not, 2 when nothing could be judged, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True, highlight=False)
    try:
        guards = chosen(read_guards(), [*options.only, *([options.find] if options.find else [])])
        if options.list:
            _list(guards, as_data=options.json)
            return 0
        if options.find:
            return asyncio.run(_find(console, guards[0], options.places or _IN_MEMORY))
        return asyncio.run(_judge(console, guards, options))
    except WrongGuard as wrong:
        console.print(str(wrong), style="bold red", markup=False)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("interrupted; the checkout was never changed, and the copies are removed")
        return 130


async def _judge(console: Console, guards: Sequence[Guard], options: argparse.Namespace) -> int:
    started = monotonic()
    _end_with_the_signal()
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="lesson-progress-guards-"))
        bar = stack.enter_context(Progress(console=console))
        task = bar.add_task("every guard in its place", total=None)
        trees = [Tree(Path(directory) / f"copy-{n}") for n in range(options.workers)]
        places = [(tree, await stack.enter_async_context(runner(tree.path))) for tree in trees]
        green = await _unchanged(places, sorted({test for guard in guards for test in guard.tests}))
        if wrong := [result for result in green if result.colour is not Colour.GREEN]:
            for result in wrong:
                console.print(f"{result.test} is {result.colour} while every guard is there: {result.by}", markup=False)
            console.print("nothing can be judged before these tests are green", style="bold red")
            return 2
        bar.update(task, description="one guard out at a time", total=len(guards))
        verdicts = await _taken_out(places, guards, lambda: bar.advance(task))
    report = as_json(green, verdicts, monotonic() - started)
    if options.report is not None:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(json.dumps(report, indent=2) + "\n")
    if options.json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        show(Console(highlight=False), verdicts)
    console.print(f"{report['caught']} of {len(guards)} guards caught in {report['seconds']:.0f} s")
    return 0 if report["caught"] == len(guards) else 1


def _end_with_the_signal() -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _unchanged(places: Sequence[Place], tests: Sequence[str]) -> list[Result]:
    """Run all named tests with every guard in its place, their files shared out among the copies."""
    files = sorted({_file(test) for test in tests})
    shares = [[test for test in tests if _file(test) in files[n :: len(places)]] for n in range(len(places))]
    runs = (tests_in.run(share) for (_, tests_in), share in zip(places, shares, strict=True) if share)
    return [result for results in await asyncio.gather(*runs) for result in results]


def _file(test: str) -> str:
    return test.partition("::")[0]


async def _taken_out(places: Sequence[Place], guards: Sequence[Guard], done: Callable[[], None]) -> list[Verdict]:
    waiting = list(reversed(guards))
    verdicts: dict[str, Verdict] = {}

    async def work(place: Place) -> None:
        while waiting:
            guard = waiting.pop()
            verdicts[guard.name] = await _verdict(*place, guard)
            done()

    async with asyncio.TaskGroup() as workers:
        for place in places:
            workers.create_task(work(place))
    return [verdicts[guard.name] for guard in guards]


async def _verdict(tree: Tree, tests_in: Runner, guard: Guard) -> Verdict:
    started = monotonic()
    if not guard.tests:
        return Verdict(guard, [], 0.0, "no test is named for it")
    try:
        with tree.without(guard):
            results = await tests_in.run(guard.tests, guard.raises)
    except WrongGuard as wrong:
        return Verdict(guard, [], monotonic() - started, str(wrong))
    return Verdict(guard, results, monotonic() - started)


async def _find(console: Console, guard: Guard, places: Sequence[str]) -> int:
    """Say which tests turn red without this guard: the ones to name for it."""
    _end_with_the_signal()
    with tempfile.TemporaryDirectory(prefix="lesson-progress-guards-") as directory:
        tree = Tree(Path(directory) / "copy")
        with console.status(f"{guard.name}: running {' '.join(places)} without it"), tree.without(guard):
            async with runner(tree.path) as tests_in:
                found = await tests_in.failures(places)
    for result in found:
        sys.stdout.write(f"{result.colour:<7} {result.test}  {result.by}\n")
    if not any(result.colour is Colour.RED for result in found):
        console.print(f"no test of {' '.join(places)} misses {guard.name}: write one", style="bold red")
        return 1
    return 0


def _list(guards: Sequence[Guard], *, as_data: bool) -> None:
    if as_data:
        fields = ("name", "keeps", "rows", "file", "tests")
        rows = [{field: getattr(guard, field) for field in fields} for guard in guards]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    for guard in guards:
        sys.stdout.write(f"{guard.name}: {guard.keeps}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.guards",
        description="Take each guard of the product out of a copy of the source; the tests named for it must turn red.",
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this guard; can be repeated")
    parser.add_argument("--list", action="store_true", help="name the guards and what they keep, and run nothing")
    parser.add_argument("--find", metavar="NAME", help="say which tests turn red without this guard")
    parser.add_argument("places", nargs="*", metavar="PLACE", help="with --find: files and folders of tests to look in")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="guards out at once (default: 2)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the verdicts to this file as JSON")
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    return parser


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main())
