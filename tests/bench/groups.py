"""Consumer groups as the broker sees them, the same for whoever consumes: joined, and finished."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import perf_counter

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from ops.offsets import GroupOffsets
from ops.target import Target

_STABLE = "Stable"
_POLL_SECONDS = 0.02


class Stalled(Exception):
    """Something that was waited for did not come."""


class Groups:
    """Waits for consumer groups; asks the broker seldom enough not to be a load itself."""

    def __init__(self, admin: AIOKafkaAdminClient, offsets: GroupOffsets) -> None:
        self._admin = admin
        self._offsets = offsets

    async def joined(self, group: str, *, check: Callable[[], None], seconds: float = 90.0) -> float:
        """Wait until the group has its partitions; answers when it was seen (monotonic, s).

        `check` raises when waiting is in vain.

        Raises:
            Stalled: it has none after this time.
        """

        async def stable() -> bool:
            check()
            try:
                [response] = await self._admin.describe_consumer_groups([group])
            except KafkaError:  # the first group of a new broker has to wait for its coordinator
                return False
            return any(found[2] == _STABLE and found[5] for found in response.groups)

        return await until(stable, every=_POLL_SECONDS, seconds=seconds, what=f"{group} has no partitions")

    async def finished(self, group: str, *, every: float, seconds: float) -> float:
        """Wait until the group has committed all there is for it; answers when it was seen (monotonic, s).

        Raises:
            Stalled: it has not after this time.
        """

        async def nothing_left() -> bool:
            return await self._offsets.behind(group) == 0

        return await until(nothing_left, every=every, seconds=seconds, what=f"{group} has not finished")


async def until(condition: Callable[[], Awaitable[bool]], *, every: float, seconds: float, what: str) -> float:
    """Ask again and again until it is so; answers when it was (monotonic, s).

    Raises:
        Stalled: it is not after this time.
    """
    deadline = perf_counter() + seconds
    while not await condition():
        if perf_counter() > deadline:
            raise Stalled(f"{what} after {seconds:.0f} s")
        await asyncio.sleep(every)
    return perf_counter()


@asynccontextmanager
async def groups(target: Target) -> AsyncIterator[Groups]:
    """The consumer groups of this system."""
    admin = AIOKafkaAdminClient(bootstrap_servers=target.bootstrap_servers.split(","))
    try:
        await admin.start()
        async with GroupOffsets(target) as offsets:
            yield Groups(admin, offsets)
    finally:
        await admin.close()
