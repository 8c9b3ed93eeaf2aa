"""A replay at full speed while something is killed every few seconds: the figures are exact, however often."""

import argparse
import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from ops.errors import OperatorError
from ops.importing import import_platform
from ops.offsets import GroupOffsets
from ops.platform.counting import expected_figures
from ops.platform.oulad import read_oulad
from ops.replay.plan import plan
from ops.replay.run import replay
from ops.replay.verdict import Result
from ops.replay.watching import Watch
from ops.stacks import SERVICES, RunningStack, StackKind, start_stack
from ops.target import from_environment
from shared.settings import PREFIX
from tests.bench.figures import Bar, Figure
from tests.bench.plan import Finding
from tests.faults.endurance.trial import Trial

_DATA = Path(__file__).parents[3] / "examples" / "oulad"
_PARTS = ("broker", "database")
_VICTIMS = (*SERVICES, *_PARTS)
_LOOK_SECONDS = 0.5
#: At least: the second shows that repetition changes nothing.
_ROUNDS = 2
#: Of the kills that there is time for; while a victim starts again, nothing else is killed.
_KILLS_SHARE = 0.7
#: With so many kills by chance, each of the five has been a victim in all but one of a thousand runs.
_EVERY_VICTIM = 40
#: A killed consumer's partitions are given away after this: with the product's own 30 s, every second kill would only
#: hit a service that waits for them.
_ENVIRONMENT = {f"{PREFIX}KAFKA__SESSION_TIMEOUT_MS": "6000"}
_HOW = (
    "all completions twice, in random order, as fast as the broker takes them; a victim is chosen at random, killed "
    "(SIGKILL) and started again at once; what was not answered is sent again; rounds until the time is up, at least "
    f"{_ROUNDS}"
)


def options(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--minutes", type=float, default=10, metavar="N", help="how long (default: 10)")
    parser.add_argument("--every", type=float, default=15, metavar="SECONDS", help="between two kills (default: 15)")
    parser.add_argument("--course", metavar="NAME", help="one course of the files only, for a quick look")


class Killer:
    """Kills one of the system's programs at a time, chosen at random, and starts it again at once."""

    def __init__(self, stack: RunningStack, trial: Trial, *, every: float, commands: int, ends_at: float) -> None:
        self.kills: Counter[str] = Counter()
        self._stack = stack
        self._target = from_environment(stack.environment)
        self._trial = trial
        self._chance = random.Random(trial.seed)  # noqa: S311 - a choice, no secret
        self._every = every
        self._commands = commands
        self._ends_at = ends_at
        self._left = every

    async def beside(self, watch: Watch) -> None:
        """Kill on while there is time and a round has something left to do; the interval goes on in the next round."""
        due = perf_counter() + self._left
        async with GroupOffsets(self._target) as offsets:
            while perf_counter() < self._ends_at and (watch.sent < self._commands or not await _all_finished(offsets)):
                if perf_counter() >= due:
                    due += self._every
                    await self._kill(watch)
                await asyncio.sleep(_LOOK_SECONDS)
        self._left = max(0.0, due - perf_counter())

    async def _kill(self, watch: Watch) -> None:
        victim = self._chance.choice(_VICTIMS)
        began = perf_counter()
        if victim in _PARTS:
            self._stack.kill_part(victim)
            await self._stack.start_part(victim)
        else:
            self._stack.kill_service(victim)
            await self._stack.start_service(victim)
        self.kills[victim] += 1
        self._trial.tell(
            f"killed {victim}, there again after {perf_counter() - began:.1f} s; "
            f"{watch.answered:,} of {watch.sent:,} commands answered"
        )


async def _all_finished(offsets: GroupOffsets) -> bool:
    try:
        return not any([await offsets.behind(service) for service in SERVICES])
    except OperatorError:  # the broker has just been killed
        return False


async def run(trial: Trial) -> Finding:
    """Replay all learners while services, database and broker are killed at random."""
    asked = trial.asked
    data, expected = read_oulad(_DATA, asked.course), expected_figures(_DATA, asked.course)
    commands = plan(data, copies=2, shuffled=True, seed=trial.seed)
    rounds: list[Result] = []
    async with start_stack(StackKind.KAFKA, directory=trial.directory, extra_environment=_ENVIRONMENT) as stack:
        target = from_environment(stack.environment)
        await import_platform(target, data.platform, trial.console)
        ends_at = perf_counter() + 60 * asked.minutes
        killer = Killer(stack, trial, every=asked.every, commands=len(commands), ends_at=ends_at)
        while len(rounds) < _ROUNDS or perf_counter() < ends_at:
            result = await replay(
                target, data, commands, expected,
                rate=None, console=trial.console, beside=killer.beside, ask_again=True, log_of=stack.log_path,
            )  # fmt: skip
            rounds.append(result)
            if result.figures.fingerprint != rounds[0].figures.fingerprint:
                result.problems.append("it changed what stood in the database")
            trial.tell(f"round {len(rounds)}: {result.seconds:.0f} s, {'; '.join(result.problems) or 'exact'}")
    problems = [f"round {n}: {problem}" for n, found in enumerate(rounds, 1) for problem in found.problems]
    due = 60 * asked.minutes / asked.every
    return Finding(_figures(rounds, killer.kills, due), [_row(found) for found in rounds], problems)


def _figures(rounds: list[Result], kills: Mapping[str, int], due: float) -> list[Figure]:
    first, expected = rounds[0].figures, rounds[0].expected
    exact = [
        ("completions", first.completions, expected.completions),
        ("certificates", first.certificates, expected.certificates),
        ("enrollments between 0 and 100 %", first.partial, expected.partial),
        ("enrollments at 0 %", first.zero, expected.zero),
    ]
    drift = sum(found.drift for found in rounds)
    return [
        Figure("rounds", len(rounds), "", _HOW, Bar("at least", _ROUNDS)),
        Figure("kills", sum(kills.values()), "", _HOW, Bar("at least", max(1, int(due * _KILLS_SHARE))), kills),
        Figure("victims", len(kills), "", _HOW, Bar("at least", len(_VICTIMS) if due >= _EVERY_VICTIM else 1)),
        *(Figure(name, found, "", _HOW, details={"expected": wanted}) for name, found, wanted in exact),
        Figure("drift", drift, "", _HOW, Bar("less than", 1)),
    ]


def _row(found: Result) -> dict[str, Any]:
    return {
        "seconds": round(found.seconds, 1),
        "commands": found.watch.sent,
        "sent_again": found.watch.sent_again,
        "replies": dict(found.watch.replies),
        "dead_letters": found.dead_letters,
        "fingerprint": found.figures.fingerprint,
        "problems": list(found.problems),
    }
