"""What a row is given: the system behind links, a random source of its seed, and worlds of its own."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.faults.proxy.link import Link
from tests.faults.rows.lane import Lane
from tests.faults.rows.world import World
from tests.support.campus import Campus
from tests.support.gateway import Gateway

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Run:
    """One row with one seed, on a lane that is healthy when it begins."""

    lane: Lane
    number: int
    seed: int
    #: Whether outages are to be short: in the quick run.
    quick: bool
    #: Chooses victims, moments, data and copies; the same for the same row and seed.
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "chance", random.Random(f"row {self.number}, seed {self.seed}"))  # noqa: S311

    @property
    def gateway(self) -> Gateway:
        """Sends commands and sees what comes out, beside all links."""
        return self.lane.system.gateway

    @property
    def campus(self) -> Campus:
        """The database, beside all links."""
        return self.lane.system.campus

    def broker_of(self, instance: str) -> Link:
        """The way of a service, or of an instance of one, to the broker."""
        return self.lane.links(instance).broker

    def database_of(self, instance: str) -> Link:
        """The way of a service, or of an instance of one, to the database."""
        return self.lane.links(instance).database

    def turn(self, choices: Sequence[T]) -> T:
        """One of these by seed and row: so many seeds in a row choose them all, and so do the rows of one seed."""
        return choices[(self.number + self.seed) % len(choices)]

    async def world(self, **sizes: Any) -> World:
        """A course with learners of its own, and what they are to complete, by the seed; see `World.make`."""
        return await World.make(self.lane, self.chance, **sizes)

    async def restart(self, service: str, environment: Mapping[str, str] | None = None) -> None:
        """Stop a service as an orchestrator does and start it with these variables besides its own, for this run."""
        await self.lane.stop(service)
        await self.lane.start(service, environment=environment)
