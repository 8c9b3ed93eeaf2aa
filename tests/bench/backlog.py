"""How fast a backlog drains through all three stages: the product, beside the baseline."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from ops.platform.counting import ExpectedFigures, expected_figures
from ops.platform.datasets import Dataset
from ops.platform.oulad import read_oulad
from ops.platform.writing import write_platform
from ops.replay.figures import read_figures
from ops.stacks import SERVICES, RunningStack, StackKind, start_stack
from ops.target import Target, from_environment
from shared.settings import PREFIX
from tests.bench.figures import Bar, Figure, ratio
from tests.bench.groups import Groups, groups
from tests.bench.plan import Context, Finding
from tests.bench.processor import processor_seconds
from tests.bench.sending import Gateway
from tests.bench.sides import SIDES, Side

_DATA = Path(__file__).parents[2] / "examples" / "oulad"
_LONGEST_SECONDS = 300.0
_BAR = Bar("at least", 0.6, aim=0.8)
_HOW = (
    "all commands in the topic before a stage starts; recalculator and certificates join their groups first, then "
    "progress starts: from the moment its group has its partitions to the moment all three groups have committed "
    "everything; fresh broker, database and topics each run; {rounds} rounds, interleaved, first one side then the "
    "other; what is stored afterwards is compared with the files"
)


@dataclass(frozen=True, slots=True)
class Run:
    """One drained backlog."""

    side: str
    rendering: bool
    #: From the first stage's partitions to the last commit.
    seconds: float
    #: Completions a second.
    rate: float
    #: When each stage had finished, from the same start.
    finished: Mapping[str, float]
    #: Processor time used meanwhile, by program.
    processor: Mapping[str, float]
    problems: list[str] = field(default_factory=list)


async def without_pdfs(context: Context) -> Finding:
    """Drain all completions through the three stages, certificates without PDFs."""
    return await _measure(context, rendering=False)


async def with_pdfs(context: Context) -> Finding:
    """The same with a PDF for each certificate."""
    return await _measure(context, rendering=True)


async def _measure(context: Context, *, rendering: bool) -> Finding:
    dataset, expected = read_oulad(_DATA), expected_figures(_DATA)
    for completion in dataset.completions:
        context.gateway.token(completion.user_id)
    runs: list[Run] = []
    for round_ in range(context.rounds):
        for side in sorted(SIDES, reverse=round_ % 2 == 0):
            runs.append(await _run(side, dataset, expected, context.gateway, rendering=rendering))
            context.tell(f"{side}: {runs[-1].rate:,.0f} completions/s")
    problems = [f"{run.side}: {problem}" for run in runs for problem in run.problems]
    return Finding(_figures(runs, context.rounds), [asdict(run) for run in runs], problems)


def _figures(runs: list[Run], rounds: int) -> list[Figure]:
    how = _HOW.format(rounds=rounds)
    rates = {side: [run.rate for run in runs if run.side == side] for side in SIDES}
    figures = [
        Figure(f"{side}, completions a second", median(found), "1/s", how, details={"rounds": found})
        for side, found in rates.items()
    ]
    pairs = ratio(
        "product / baseline", rates["product"], rates["baseline"], how="the ratio of each round's two runs", bar=_BAR
    )
    return [*figures, pairs]


async def _run(side: str, dataset: Dataset, expected: ExpectedFigures, gateway: Gateway, *, rendering: bool) -> Run:
    environment = {**gateway.environment, f"{PREFIX}CERTIFICATES__RENDERING": str(rendering).lower()}
    async with start_stack(StackKind.KAFKA, services=(), extra_environment=environment) as stack:
        target = from_environment(stack.environment)
        await _prepare(target, dataset, gateway)
        finished, processor = await _drain(side, stack, target)
        async with target.database() as db:
            found = await read_figures(db, courses=[course.id for course in dataset.platform.courses])
    seconds = max(finished.values())
    rate = len(dataset.completions) / seconds
    return Run(
        side,
        rendering,
        round(seconds, 3),
        round(rate, 1),
        {name: round(at, 3) for name, at in finished.items()},
        processor,
        found.differences(expected, rendered=rendering),
    )


async def _prepare(target: Target, dataset: Dataset, gateway: Gateway) -> None:
    async with target.database() as db:
        await write_platform(db, dataset.platform)
    async with target.producer() as producer:
        await gateway.send_all(producer, dataset.completions, secrets.token_hex(4))


async def _drain(side: str, stack: RunningStack, target: Target) -> tuple[dict[str, float], dict[str, float]]:
    finished: dict[str, float] = {}
    async with groups(target) as watched, SIDES[side](stack) as stages:
        for service in reversed(SERVICES[1:]):
            await stages.start(service)
            await watched.joined(service, check=stages.check)
        started, before = await _started(SERVICES[0], watched, stages)
        for service in SERVICES:
            finished[service] = await watched.finished(service, every=0.1, seconds=_LONGEST_SECONDS) - started
        after = processor_seconds()
    return finished, {name: round(after[name] - before.get(name, 0.0), 2) for name in after}


async def _started(service: str, watched: Groups, stages: Side) -> tuple[float, dict[str, float]]:
    """Start a stage; answers when it had its partitions, and the processor time used until then."""

    async def joined() -> tuple[float, dict[str, float]]:
        return await watched.joined(service, check=stages.check), processor_seconds()

    found, _ = await asyncio.gather(joined(), stages.start(service))
    return found
