"""All three services over one log and one database: who of them lives, and what must be true in the end.

Whatever stops or stumbles on the way, in the end the promise holds.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import structlog
from aiokafka import TopicPartition

from shared.contracts.topics import SERVICES, consumed_by
from tests.support.issuer import NOW
from tests.support.lives import LIFE, Life
from tests.support.living_arrivals import SIGNER, Arrivals
from tests.support.living_platform import Platform
from tests.support.outside import Outside
from tests.support.promise import Position, Promise
from tests.support.replicas import Replica, start

_READ = [topic for service in SERVICES for topic in consumed_by(service)]
_QUIET_SECONDS = 120.0


class WorldClock:
    """The clock of the services' machines: it passes with the loop, and may be set to another time."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return NOW + int(asyncio.get_running_loop().time() * 1000) + self.ahead


class LivingWorld(Arrivals):
    """The platform, what arrives, and the processes; made inside a running loop of virtual time."""

    def __init__(self, *, learners: Collection[str] = ("ada", "bob"), batch_size: int = 1000, page: int = 2) -> None:
        self.clock = WorldClock()
        broker_clock = WorldClock()
        self.outside = Outside(self.clock, SIGNER)
        self.db = self.outside.db
        super().__init__(self.outside.log, self.db, Platform(self.db, learners), broker_clock)
        self.log._clock = broker_clock
        self.log.create("progress.replies.web")
        self.log.before_commit = self._nothing_unfinished
        self.batch_size, self.page = batch_size, page
        self.replicas: list[Replica] = []
        self.lives: list[Life] = []
        self.lines: list[MutableMapping[str, Any]] = []
        self._settled: set[Position] = set()
        self._broken: list[str] = []
        self._stack = ExitStack()

    # Who lives.

    async def __aenter__(self) -> Self:
        """Connect the services to this world, and keep every line that a living process logs."""
        random.seed(0)  # the jitter of back-offs, and where a message without a key goes
        self._stack.enter_context(self._logged())
        self._stack.enter_context(self.outside.connected())
        return self

    async def __aexit__(self, *_: object) -> None:
        with self._stack:
            await self._cleared()

    @contextmanager
    def _logged(self) -> Iterator[None]:
        processors = structlog.get_config()["processors"]
        before = processors.copy()
        processors[:] = [self._line]
        structlog.configure(processors=processors)
        try:
            yield
        finally:
            processors[:] = before
            structlog.configure(processors=processors)

    async def _cleared(self) -> None:
        """Clear away every process, dead or alive, without another effect."""
        for life in self.lives:
            life.end()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        await asyncio.get_running_loop().shutdown_asyncgens()

    def start(self, service: str, *, at: int | None = None) -> Replica:
        """A new process of this service, to be stopped at this point."""
        life = Life(service, at)
        self.lives.append(life)
        replica = start(service, self.outside, life, batch_size=self.batch_size, page=self.page)
        self.replicas.append(replica)
        return replica

    def expel(self, replica: Replica) -> None:
        """The group has not heard of this process for too long."""
        group = self.outside.groups[replica.service.name]
        for member in [m for m in group.members if m.life is replica.life]:
            group.leave(member)

    def rewind(self, back: int | None = None) -> None:
        """The offsets of every group go back, to the beginning where no number is given; whoever reads begins there."""
        for partition, offset in self.log.committed.items():
            self.log.committed[partition] = 0 if back is None else max(0, offset - back)
        for group in self.outside.groups.values():
            group.generation += 1

    async def stop(self, replica: Replica) -> None:
        """SIGTERM; who is dead or frozen does not end by it."""
        replica.service.stop()
        await self.until(lambda: replica.task.done() or replica.life.halted)

    async def quiet(self) -> None:
        """Wait until nothing is left to do, for the services that live."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _QUIET_SECONDS
        while self.busy():
            assert not self._broken, self._broken[0]
            assert loop.time() < deadline, f"still busy: {self.busy()}"
            await asyncio.sleep(0.1)
            for replica in self.replicas:
                if replica.task.done() and not replica.life.halted and replica.task.exception() is not None:
                    raise AssertionError(f"{replica.life.name} ended") from replica.task.exception()

    @staticmethod
    async def until(condition: Callable[[], object]) -> None:
        """Wait until this is so."""
        while not condition():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)

    def busy(self) -> Mapping[object, object]:
        """What is left to do."""
        left: dict[object, object] = {}
        left.update(self.log.behind(_READ))
        left.update({i: d for i, d in self.db["courseSweeps"].documents.items() if d.get("finishedAt") is None})
        left.update({i: d for i, d in self.db["notifications"].documents.items() if "emailDue" in d})
        return left

    # What must be true.

    def _line(self, _logger: object, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        life = LIFE.get()
        if life is None or not life.halted:
            self.lines.append(line)
            if "offset" in line and "outcome" in line:
                self._settled.add((line["topic"], line["partition"], line["offset"]))
        raise structlog.DropEvent

    def _nothing_unfinished(self, offsets: Mapping[TopicPartition, int]) -> None:
        for (topic, partition), end in offsets.items():
            unfinished = [o for o in range(end) if (topic, partition, o) not in self._settled]
            if unfinished:
                # Told by `quiet` and `check`: raised here, it would only end the task that commits.
                self._broken.append(f"committed beyond the finished prefix: {topic} {partition} {unfinished}")

    def check(self) -> None:
        """Nothing lost, nothing doubled.

        Raises:
            AssertionError: something is.
        """
        assert not self._broken, self._broken[0]
        assert not self.busy(), f"something is left to do: {self.busy()}"
        self.check_fates(self.lines)
        promise = Promise(self.log, self.db, {service: self.letters[service] for service in SERVICES})
        promise.facts(self.accepted, doubtful=self.gone)
        promise.same_events()
        promise.percentages(self.platform.catalogs, self.changed_at)
        promise.completions()
        promise.certificates(failed=self.failed, revoked=self.revoked)
        promise.notifications(self.outside.mailed, reachable=self.platform.reachable)
        promise.letters()
        promise.replies(doubtful=self.gone)
