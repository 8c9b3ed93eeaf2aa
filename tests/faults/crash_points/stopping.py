"""A story told while one process is stopped at one point: killed or frozen there, and what follows."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from shared.contracts.topics import SERVICES
from tests.faults.crash_points.stories import Story
from tests.support.lives import Await, Life
from tests.support.living_world import LivingWorld
from tests.support.virtual_time import run

#: How long nobody misses a process that has gone, and how long after that a frozen one goes on.
_MISSED_SECONDS = 0.4
_THAWED_SECONDS = 0.8


class Way(StrEnum):
    """How a process stops."""

    KILLED = "killed"
    FROZEN = "frozen"


@dataclass(frozen=True)
class Told:
    """What the process that was to be stopped came by, and what became of its world."""

    points: list[str]
    #: The awaits of these points.
    own: set[Await]
    #: These, and those of its successors and of other replicas.
    awaits: set[Await]
    #: How many processes were stopped.
    stops: int


def undisturbed(story: Story) -> dict[str, Told]:
    """Tell a story in which nobody stops; by service."""

    async def told() -> dict[str, Told]:
        async with LivingWorld(**story.world) as world:
            lives = {service: world.start(service).life for service in SERVICES}
            await story.tell(world)
            await world.quiet()
            world.check()
            everyone: dict[str, set[Await]] = {service: set() for service in SERVICES}
            for life in world.lives:
                everyone[life.name] |= life.awaits
            return {s: Told(life.reached, life.awaits, everyone[s], 0) for s, life in lives.items()}

    return run(told())


def stopped(story: Story, victim: str, at: int, way: Way, *, again: int | None = None) -> Told:
    """Tell a story in which the victim's first process stops at point `at`, and its successor at point `again`.

    Raises:
        AssertionError: the promise was broken.
    """

    async def told() -> Told:
        async with LivingWorld(**story.world) as world:
            lives: dict[str, Life] = {s: world.start(s, at=at if s == victim else None).life for s in SERVICES}
            life = lives[victim]
            successor = asyncio.create_task(_succeeded(world, life, way, again))
            await story.tell(world)
            await world.quiet()
            if life.stopped.is_set():
                await successor
                await world.quiet()
            world.check()
            return Told(life.reached, life.awaits, life.awaits, sum(one.stopped.is_set() for one in world.lives))

    return run(told())


async def _succeeded(world: LivingWorld, life: Life, way: Way, again: int | None) -> None:
    """Wait until a process stops, put the next in its place, and let a frozen one go on after that."""
    await life.stopped.wait()
    await asyncio.sleep(_MISSED_SECONDS)
    [gone] = [replica for replica in world.replicas if replica.life is life]
    world.expel(gone)
    next_life = world.start(life.name, at=again).life
    following = asyncio.create_task(_succeeded(world, next_life, way, None)) if again is not None else None
    if way is Way.FROZEN:
        await asyncio.sleep(_THAWED_SECONDS)
        life.thaw()
        await asyncio.sleep(_THAWED_SECONDS)
    if following is not None and next_life.stopped.is_set():
        await following
