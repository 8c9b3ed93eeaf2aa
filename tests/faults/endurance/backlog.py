"""A large backlog on a database that is slowed to a tenth: memory stays flat, readiness honest, nobody starves."""

import argparse
import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from ops.platform.writing import write_platform
from ops.stacks import SERVICES, RunningStack, StackKind, start_stack
from ops.stacks.ports import Ports
from ops.target import Target, from_environment
from shared.contracts.topics import PROGRESS_REPLIES
from shared.kafka.provisioning import create_missing
from shared.settings import PREFIX
from tests.bench.figures import Bar, Figure
from tests.bench.plan import Finding
from tests.bench.sending import Gateway
from tests.faults.endurance.brake import Brake, brake
from tests.faults.endurance.commands import Pupils, outgoing, send
from tests.faults.endurance.others import REPLIES, Others, completing
from tests.faults.endurance.sampling import IN_TIME_SECONDS, Sample, Samples, memory, sampled
from tests.faults.endurance.trial import Trial

_SLOWER = 10.0
_SILENT_SECONDS = 15.0
_LINE_SECONDS = 10.0
#: So many samples in a row without lag, and the backlog is handled.
_CALM = 4
_FLAT_PERCENT = 10.0
_HOW_MEMORY = (
    "resident memory with helpers, sampled every second; the slope is of a line through the second half of the phase, "
    "and the figure that line's rise in percent of its mean"
)
_HOW_READY = (
    "samples in which a service said 503 though the database answered this trial, by the same way, within "
    f"{IN_TIME_SECONDS:g} s just before and just after"
)
_HOW_SILENT = f"no answer of the database passes for {_SILENT_SECONDS:g} s: services that said 503 meanwhile"
_HOW_SERVED = (
    "while the database is slow, one command a second from learners whose partition the backlog leaves out: the share "
    "that was answered in the same phase"
)
_HOW_LEFT = (
    "records that no service had handled when the time for draining was up; what is stored is compared when none is"
)
_HOW_PACE = "commands that progress handles a second, as the lag in its metrics falls"
_HOW_LAG = "records still to be handled by all three services, as their metrics say: by how many fewer a second"


def options(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--commands", type=int, default=1_000_000, metavar="N", help="the backlog (default: 1000000)")
    parser.add_argument(
        "--braked", type=float, default=180, metavar="SECONDS", help="how long the database is slow (default: 180)"
    )
    parser.add_argument(
        "--drain", type=float, default=30, metavar="MINUTES", help="how long to wait for the rest (default: 30)"
    )


async def run(trial: Trial) -> Finding:
    """Drain a million commands while the database is slowed to a tenth, then silent, then itself again."""
    pupils, samples, others = Pupils(trial.asked.commands), Samples(), Others()
    async with _ground(trial, pupils) as (stack, between, gateway):
        target = from_environment(stack.environment)
        between.factor = _SLOWER
        for service in reversed(SERVICES):
            await stack.start_service(service)
        async with sampled(stack, every=1.0) as samples:
            trial.tell(f"the database takes {_SLOWER:g} times as long, for {trial.asked.braked:g} s")
            with samples.phase("slow"):
                async with completing(target, gateway, pupils, others):
                    await _pass(trial, samples, trial.asked.braked)
            trial.tell(f"the database says nothing for {_SILENT_SECONDS:g} s")
            between.silence()
            with samples.phase("silent"):
                await _pass(trial, samples, _SILENT_SECONDS)
            between.speak()
            between.factor = 1.0
            trial.tell("the database is itself again")
            with samples.phase("fast"):
                drained = await _drained(trial, samples)
        problems = await _differences(target, pupils, others) if drained else []
    return Finding(_figures(samples, others), [_row(s, samples.all[0].at) for s in samples.all], problems)


@asynccontextmanager
async def _ground(trial: Trial, pupils: Pupils) -> AsyncIterator[tuple[RunningStack, Brake, Gateway]]:
    """A system whose services have not started, with the backlog in its topic, and the database behind the brake."""
    port = Ports({}).of("database")
    async with AsyncExitStack() as rooms:
        gateway = Gateway(Path(rooms.enter_context(TemporaryDirectory(prefix="lesson-progress-endurance-"))))
        between = await rooms.enter_async_context(brake(port))
        uri = f"mongodb://127.0.0.1:{between.port}/?directConnection=true"
        stack = await rooms.enter_async_context(
            start_stack(
                StackKind.KAFKA,
                directory=trial.directory,
                services=(),
                database_port=port,
                extra_environment={**gateway.environment, f"{PREFIX}MONGO__URI": uri},
            )
        )
        await rooms.enter_async_context(stack.watched())
        target = from_environment(stack.environment)
        async with target.database() as db:
            await write_platform(db, pupils.platform())
        await create_missing(target.settings.kafka, topics=[REPLIES])
        async with target.producer() as producer:
            run, began = secrets.token_hex(4), perf_counter()
            sent = await send(
                producer,
                (
                    outgoing(gateway, command, f"{run}:{n}", reply_to=PROGRESS_REPLIES)
                    for n, command in enumerate(pupils.commands())
                ),
            )
        trial.tell(f"{sent:,} commands in the topic after {perf_counter() - began:.0f} s")
        yield stack, between, gateway


async def _pass(trial: Trial, samples: Samples, seconds: float) -> None:
    ends_at = perf_counter() + seconds
    while (left := ends_at - perf_counter()) > 0:
        await asyncio.sleep(min(left, _LINE_SECONDS))
        _say(trial, samples)


async def _drained(trial: Trial, samples: Samples) -> bool:
    """Wait until the services say for a while that nothing is left; answers whether they did in time."""
    ends_at, calm = perf_counter() + 60 * trial.asked.drain, 0
    while calm < _CALM and perf_counter() < ends_at:
        await _pass(trial, samples, 1.0 if samples.behind == 0 else _LINE_SECONDS)
        calm = calm + 1 if samples.behind == 0 else 0
    return calm == _CALM


async def _differences(target: Target, pupils: Pupils, others: Others) -> list[str]:
    """How what is stored differs from what was sent, in sentences."""
    wanted = len(pupils.users) * len(pupils.lessons) + len(others.sent)
    async with target.database() as db:
        stored = int(await db["lessonProgress"].count_documents({}))
    return [] if stored == wanted else [f"completions: {stored}, expected {wanted}"]


def _say(trial: Trial, samples: Samples) -> None:
    if not samples.all:
        return
    last = samples.all[-1]
    megabytes = ", ".join(f"{service} {last.resident.get(service, 0) / 1e6:.0f} MB" for service in SERVICES)
    ready = "/".join(str(last.ready[service]) for service in SERVICES)
    trial.tell(f"{samples.behind:,} records behind; {megabytes}; ready {ready}; database {last.database:.2f} s")


def _figures(samples: Samples, others: Others) -> list[Figure]:
    slow, silent, fast = (samples.phases[name] for name in ("slow", "silent", "fast"))
    dishonest = [s for s in (*slow, *fast) if s.database < IN_TIME_SECONDS and set(s.ready.values()) != {200}]
    refusing = [service for service in SERVICES if any(s.ready[service] == 503 for s in silent)]
    return [
        *(_flat(phase, service, some) for phase, some in (("slow", slow), ("fast", fast)) for service in SERVICES),
        Figure("readiness: 503 without a reason", len(dishonest), "", _HOW_READY, Bar("less than", 1)),
        Figure("readiness: 503 while silent", len(refusing), "services", _HOW_SILENT, Bar("at least", len(SERVICES))),
        Figure(
            "the others' commands answered", round(others.share, 3), "", _HOW_SERVED, Bar("at least", 0.8),
            {"sent": len(others.sent), "median": _median(others.seconds), "longest": max(others.seconds, default=0.0)},
        ),
        Figure("commands a second while slow", _pace(slow, SERVICES[:1]), "1/s", _HOW_PACE),
        Figure("commands a second afterwards", _pace(fast, SERVICES[:1]), "1/s", _HOW_PACE),
        Figure("records left", fast[-1].left, "", _HOW_LEFT),
        Figure("lag falls afterwards", _pace(fast, SERVICES), "1/s", _HOW_LAG, Bar("at least", 1)),
    ]  # fmt: skip


def _median(seconds: Sequence[float]) -> float:
    return round(median(seconds), 2) if seconds else 0.0


def _flat(phase: str, service: str, samples: Sequence[Sample]) -> Figure:
    held = memory(samples, service)
    return Figure(
        f"{service}, {phase}: rise of memory", round(held.rise, 2), "%", _HOW_MEMORY, Bar("less than", _FLAT_PERCENT),
        {"most MB": round(held.most, 1), "mean MB": round(held.mean, 1), "MB a minute": round(held.slope, 2)},
    )  # fmt: skip


def _pace(samples: Sequence[Sample], services: Sequence[str]) -> float:
    """By how many records these services are less behind, a second, until nothing is left."""
    behind = [(sample.at, sum(sample.behind[service] for service in services)) for sample in samples]
    (began, at_first), (ended, left) = behind[0], next((b for b in behind if b[1] == 0), behind[-1])
    return round((at_first - left) / (ended - began), 1) if ended > began else 0.0


def _row(sample: Sample, began: float) -> Mapping[str, object]:
    return {
        "second": round(sample.at - began, 1),
        "megabytes": {name: round(held / 1e6, 1) for name, held in sample.resident.items()},
        "ready": sample.ready,
        "database": round(sample.database, 3),
        "behind": sample.behind,
        "partitions": sample.partitions,
    }
