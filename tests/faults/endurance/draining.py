"""How long progress takes for what stands in its topic: the same backlog, in runs that differ in one thing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ops.platform.writing import write_platform
from ops.stacks import RunningStack, StackKind, start_stack
from ops.target import Target, from_environment
from shared.contracts.topics import SERVICES
from shared.kafka.batches import Outgoing
from tests.bench.groups import groups
from tests.bench.processor import processor_seconds
from tests.bench.sending import Gateway
from tests.faults.endurance.commands import Pupils, send

_PROGRESS = SERVICES[0]
_LONGEST_SECONDS = 900.0

#: Something that happens when progress has begun.
Meanwhile = Callable[[Target], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Drain:
    """One drained backlog."""

    #: From the moment progress has its partitions to its last commit.
    seconds: float
    #: Processor time that progress used meanwhile.
    processor: float


@asynccontextmanager
async def school_alone(gateway: Gateway, pupils: Pupils) -> AsyncIterator[RunningStack]:
    """A fresh broker and database with these learners, and no service yet."""
    async with start_stack(StackKind.KAFKA, services=(), extra_environment=gateway.environment) as stack:
        async with from_environment(stack.environment).database() as db:
            await write_platform(db, pupils.platform())
        yield stack


async def drain(stack: RunningStack, messages: Iterable[Outgoing], meanwhile: Meanwhile | None = None) -> Drain:
    """Send everything, then start progress and wait until it has finished and committed all of it.

    Raises:
        Stalled: it has not in a quarter of an hour.
    """
    target = from_environment(stack.environment)
    async with target.producer() as producer:
        await send(producer, messages)
    async with groups(target) as watched, stack.watched():
        starting = asyncio.create_task(stack.start_service(_PROGRESS))
        began = await watched.joined(_PROGRESS, check=lambda: _look(starting))
        before = processor_seconds().get(_PROGRESS, 0.0)
        if meanwhile is not None:
            await meanwhile(target)
        ended = await watched.finished(_PROGRESS, every=0.1, seconds=_LONGEST_SECONDS)
        used = processor_seconds().get(_PROGRESS, 0.0) - before
        await starting
    return Drain(round(ended - began, 2), round(used, 2))


def _look(starting: "asyncio.Task[None]") -> None:
    """Waiting is in vain when the start has failed."""
    if starting.done():
        starting.result()
