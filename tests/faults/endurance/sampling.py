"""What a system looks like from outside, second by second: its memory, its readiness, how far behind it is."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from statistics import fmean, linear_regression

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ops.stacks import SERVICES, RunningStack
from ops.target import from_environment
from shared.contracts.topics import PROGRESS_COMMANDS
from shared.errors import Transient
from shared.mongo.client import Database, ping
from tests.bench.processor import resident_bytes

_LAG = "lesson_progress_consumer_lag_records"
_MEGABYTE = 1_000_000
_PROBE_SECONDS = 3.0
#: A database that answers no later than this answers in time: half of what a health check waits.
IN_TIME_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The system at one moment."""

    #: Monotonic, s.
    at: float
    resident: dict[str, int]
    #: HTTP status of each service's readiness; 0 where it did not answer.
    ready: dict[str, int]
    #: How long the database took to answer us, on the way the services take (s).
    database: float
    #: Records that each service has still to handle, as it says itself.
    behind: dict[str, int]
    #: The same of progress, by partition of the commands.
    partitions: dict[int, int]

    @property
    def left(self) -> int:
        """Records that all services together have still to handle."""
        return sum(self.behind.values())


@dataclass(slots=True)
class Samples:
    """Samples of one run, and which of them belong together."""

    all: list[Sample] = field(default_factory=list)
    phases: dict[str, list[Sample]] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """What is sampled in the block belongs to this phase."""
        first = len(self.all)
        try:
            yield
        finally:
            self.phases[name] = self.all[first:]

    @property
    def behind(self) -> int:
        """How many records the services have still to handle, at the last sample."""
        return self.all[-1].left if self.all else 0


@dataclass(frozen=True, slots=True)
class Memory:
    """What a service held over some time, in MB."""

    most: float
    mean: float
    #: How much a line through the second half rises a minute.
    slope: float
    #: The same line's rise from its beginning to its end, in percent of the mean.
    rise: float


def memory(samples: Sequence[Sample], service: str) -> Memory:
    """A service's memory in these samples; at least four."""
    held = [(sample.at, sample.resident.get(service, 0) / _MEGABYTE) for sample in samples]
    half = held[len(held) // 2 :]
    line = linear_regression([at for at, _ in half], [megabytes for _, megabytes in half])
    mean = fmean(megabytes for _, megabytes in half)
    rise = line.slope * (half[-1][0] - half[0][0])
    return Memory(max(m for _, m in held), mean, line.slope * 60, 100 * rise / mean if mean else 0.0)


@asynccontextmanager
async def sampled(stack: RunningStack, *, every: float) -> AsyncIterator[Samples]:
    """Samples, taken while the block runs; `stack.environment` leads to the database as the services go."""
    samples = Samples()
    target = from_environment(stack.environment)
    async with target.database() as db, httpx.AsyncClient(timeout=_PROBE_SECONDS) as http:
        looking = asyncio.create_task(_look(samples, _Looker(stack, http, db), every))
        try:
            yield samples
            if looking.done():
                looking.result()
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking


async def _look(samples: Samples, looker: "_Looker", every: float) -> None:
    while True:
        began = time.perf_counter()
        samples.all.append(await looker.sample())
        await asyncio.sleep(max(0.0, began + every - time.perf_counter()))


class _Looker:
    def __init__(self, stack: RunningStack, http: httpx.AsyncClient, db: Database) -> None:
        self._stack = stack
        self._http = http
        self._db = db
        self._lag: list[dict[tuple[str, int], int]] = [{} for _ in SERVICES]

    async def sample(self) -> Sample:
        """The system now; beside the services, the database is asked before and after."""
        before = await self._database()
        ready = await asyncio.gather(*(self._get(service, "/health/ready") for service in SERVICES))
        after = await self._database()
        metrics = await asyncio.gather(*(self._get(service, "/metrics") for service in SERVICES))
        # A service that does not answer in time is as far behind as it last said.
        lag = [old if answer is None else _lag(answer.text) for old, answer in zip(self._lag, metrics, strict=True)]
        self._lag = lag
        return Sample(
            at=time.perf_counter(),
            resident=resident_bytes(),
            ready={s: 0 if answer is None else answer.status_code for s, answer in zip(SERVICES, ready, strict=True)},
            database=max(before, after),
            behind={service: sum(of.values()) for service, of in zip(SERVICES, lag, strict=True)},
            partitions={
                partition: records for (topic, partition), records in lag[0].items() if topic == PROGRESS_COMMANDS
            },
        )

    async def _database(self) -> float:
        began = time.perf_counter()
        with suppress(TimeoutError, Transient):
            await asyncio.wait_for(ping(self._db), _PROBE_SECONDS)
        return time.perf_counter() - began

    async def _get(self, service: str, path: str) -> httpx.Response | None:
        try:
            return await self._http.get(self._stack.http_url(service) + path)
        except httpx.HTTPError:
            return None


def _lag(metrics: str) -> dict[tuple[str, int], int]:
    return {
        (sample.labels["topic"], int(sample.labels["partition"])): int(sample.value)
        for family in text_string_to_metric_families(metrics)
        if family.name == _LAG
        for sample in family.samples
    }
