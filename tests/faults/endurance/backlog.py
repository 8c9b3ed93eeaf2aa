"""A large backlog on a database that is slowed to a tenth: memory stays flat, readiness honest, nobody starves."""

import argparse
import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from ops.platform.writing import write_platform
from ops.stacks import SERVICES, RunningStack, StackKind, start_stack
from ops.stacks.ports import Ports
from ops.target import Target, from_environment
from shared.contracts.topics import PROGRESS_REPLIES
from shared.kafka.provisioning import create_missing
from shared.settings import PREFIX
from tests.bench.plan import Finding
from tests.bench.sending import Gateway
from tests.faults.endurance.backlog_verdict import SILENT_SECONDS, figures, undrained
from tests.faults.endurance.brake import Brake, brake
from tests.faults.endurance.commands import Pupils, outgoing, send
from tests.faults.endurance.others import REPLIES, Others, completing
from tests.faults.endurance.sampling import Sample, Samples, sampled
from tests.faults.endurance.trial import Trial

_SLOWER = 10.0
_LINE_SECONDS = 10.0
#: So many samples in a row without lag, and the backlog is handled.
_CALM = 4


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
            trial.tell(f"the database says nothing for {SILENT_SECONDS:g} s")
            between.silence()
            with samples.phase("silent"):
                await _pass(trial, samples, SILENT_SECONDS)
            between.speak()
            between.factor = 1.0
            trial.tell("the database is itself again")
            with samples.phase("fast"):
                drained = await _drained(trial, samples)
        problems = undrained(samples) + (await _differences(target, pupils, others) if drained else [])
    return Finding(figures(samples, others), [_row(s, samples.all[0].at) for s in samples.all], problems)


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
    while calm < _CALM and (calm or perf_counter() < ends_at):
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


def _row(sample: Sample, began: float) -> Mapping[str, object]:
    return {
        "second": round(sample.at - began, 1),
        "megabytes": {name: round(held / 1e6, 1) for name, held in sample.resident.items()},
        "ready": sample.ready,
        "database": round(sample.database, 3),
        "behind": sample.behind,
        "partitions": sample.partitions,
    }
