"""A lane: one stack whose services reach the broker and the database over links; rows use it one after the other."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from ops.offsets import GroupOffsets
from ops.stacks import SERVICES, StackKind
from shared.settings import PREFIX
from tests.faults.proxy.kafka_wire import KafkaWire
from tests.faults.proxy.link import Link, Record
from tests.faults.proxy.mongo_wire import MongoWire
from tests.support.system import System, running_system

#: A silent consumer loses its partitions after this (ms): so long every killed service is waited for.
SESSION_MS = 6_000
#: The setting that puts every bulk of updates into one transaction.
IN_TRANSACTION = f"{PREFIX}MONGO__BULK_IN_TRANSACTION"
#: The variables of a service that waits for its database (ms; for an answer four times as long) for longer than any
#: row holds one back.
PATIENT_DATABASE = {f"{PREFIX}MONGO__TIMEOUT_MS": "250000"}
_SETTLED_SECONDS = 90.0
_ASK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Links:
    """The two ways of one service process."""

    broker: Link
    database: Link


class Lane:
    """A stack with links, and which of its services are as they were at first."""

    def __init__(self, system: System, record: Record) -> None:
        self.system = system
        #: What passed on the links.
        self.record = record
        self._links: dict[str, Links] = {}
        #: The service of every instance that runs, and the variables it was given besides its own.
        self._running: dict[str, tuple[str, Mapping[str, str]]] = {}
        self._parts_gone: set[str] = set()

    @classmethod
    @asynccontextmanager
    async def started(cls) -> AsyncIterator[Self]:
        """A lane with every service ready; everything ends with the block."""
        # Bulks without a transaction, as in production: one that a killed service leaves behind is held for a minute.
        extra = {f"{PREFIX}KAFKA__SESSION_TIMEOUT_MS": str(SESSION_MS), IN_TRANSACTION: "false"}
        async with running_system(StackKind.KAFKA, services=(), extra_environment=extra) as system:
            lane = cls(system, Record())
            try:
                for service in SERVICES:
                    await lane._link(service)
                await asyncio.gather(*(lane.start(service) for service in SERVICES))
                yield lane
            finally:
                await asyncio.gather(*(link.close() for links in lane._links.values() for link in _both(links)))

    def links(self, instance: str) -> Links:
        """The links of a service, or of an instance of one that was started."""
        return self._links[instance]

    async def start(
        self, service: str, *, instance: str | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start a service, or one more instance of it, over links of its own, and wait until it is ready."""
        instance = instance or service
        links = await self._link(instance)
        ways = {
            f"{PREFIX}KAFKA__BOOTSTRAP_SERVERS": links.broker.address,
            f"{PREFIX}MONGO__URI": f"mongodb://{links.database.address}/?directConnection=true",
        }
        self.record.note(f"{instance} starts")
        self._running[instance] = service, dict(environment or {})
        await self.system.stack.start_service(
            service, instance=instance, extra_environment={**ways, **(environment or {})}
        )
        self.record.note(f"{instance} is ready")

    async def stop(self, instance: str, *, seconds: float = 15.0) -> int:
        """Ask a service to end; answers its exit code."""
        self.record.note(f"{instance} is asked to end")
        code = await self.system.stack.stop_service(instance, timeout=seconds)
        self._running.pop(instance, None)
        self.record.note(f"{instance} ended with {code}")
        return code

    def kill(self, instance: str) -> None:
        """End a service without warning (SIGKILL)."""
        self.record.note(f"{instance} is killed")
        self.system.stack.kill_service(instance)
        self._running.pop(instance, None)

    def kill_part(self, part: str) -> None:
        """End the broker or the database without warning (SIGKILL)."""
        self.record.note(f"the {part} is killed")
        self.system.stack.kill_part(part)
        self._parts_gone.add(part)

    async def start_part(self, part: str) -> None:
        """Start the broker or the database again on its data."""
        await self.system.stack.start_part(part)
        self._parts_gone.discard(part)
        self.record.note(f"the {part} answers again")

    async def heal(self) -> None:
        """Mend every link and part, end what was added, and start anew every service that is not as at first."""
        for part in list(self._parts_gone):
            await self.start_part(part)
        for links in self._links.values():
            for link in _both(links):
                link.mend()
        added = [instance for instance in self._running if instance not in SERVICES]
        changed = [name for name, (_, environment) in self._running.items() if environment and name in SERVICES]
        await asyncio.gather(*(self.stop(instance) for instance in added + changed))
        gone = [service for service in SERVICES if service not in self._running]
        await asyncio.gather(*(self.start(service) for service in gone))

    # -- where the groups stand ------------------------------------------------------------------------------------

    async def behind(self, service: str) -> int:
        """How many records a service has still to finish and commit."""
        async with GroupOffsets(self.system.target) as offsets:
            return await offsets.behind(service)

    async def drained(self, services: Sequence[str] = SERVICES, *, within: float = _SETTLED_SECONDS) -> None:
        """Wait until services have finished and committed all that there is for them."""
        if not services:
            return  # the library's consumer, stopped before it has done anything, cancels whoever stops it
        async with GroupOffsets(self.system.target) as offsets:
            deadline = time.monotonic() + within
            while behind := {name: count for name in services if (count := await offsets.behind(name))}:
                assert time.monotonic() < deadline, f"not finished and committed within {within:.0f} s: {behind}"
                await asyncio.sleep(_ASK_SECONDS)

    def log_size(self, instance: str) -> int:
        """How much it has logged so far, in bytes; for `logged_since`."""
        path = self.system.stack.log_path(instance)
        return path.stat().st_size if path.exists() else 0

    def logged_since(self, instance: str, size: int) -> str:
        """What it has logged since it had logged so much."""
        with self.system.stack.log_path(instance).open("rb") as log:
            log.seek(size, os.SEEK_SET)
            return log.read().decode(errors="replace")

    async def linked(self, instance: str) -> Links:
        """The links of an instance that is still to be started."""
        return await self._link(instance)

    async def _link(self, instance: str) -> Links:
        if instance not in self._links:
            stack = self.system.stack
            database = stack.mongo_uri.removeprefix("mongodb://").partition("/")[0]
            links = Links(
                Link(f"{instance}→broker", stack.bootstrap_servers, self.record),
                Link(f"{instance}→database", database, self.record),
            )
            await links.broker.open(KafkaWire)
            await links.database.open(lambda _host, _port: MongoWire())
            self._links[instance] = links
        return self._links[instance]


def _both(links: Links) -> tuple[Link, Link]:
    return links.broker, links.database
