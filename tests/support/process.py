"""One running copy of a service's consuming side: the real loop over a fake log, to be stopped at any step."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from shared.clock import Clock
from shared.contracts.topics import consumed_by
from shared.identity import TokenVerifier
from shared.kafka.admission import Admission
from shared.kafka.consume import ConsumeLoop, Handler
from shared.kafka.metrics import LoopMetrics
from shared.kafka.offsets import Offsets
from shared.kafka.produce import Publisher
from shared.kafka.records import Accepts, Outcome
from shared.kafka.replies import Replier
from shared.kafka.retries import Breaker, Retries
from shared.kafka.settle import Observer, Settlement
from tests.support.eventually import eventually
from tests.support.fake_clients import FakeConsumer, FakeProducer
from tests.support.fake_log import FakeLog
from tests.support.fake_verifier import FakeVerifier
from tests.support.key_set import FakeClock


class Process:
    """A service over a fake log: `run` it until nothing is left to do; what it keeps in memory dies with it."""

    def __init__(
        self,
        log: FakeLog,
        *,
        accepts: Mapping[str, Accepts],
        handler: Handler,
        observer: Observer | None = None,
        service: str = "progress",
        verifier: TokenVerifier | None = None,
        clock: Clock | None = None,
        partitions: set[TopicPartition] | None = None,
        batch_size: int = 1000,
        registry: CollectorRegistry | None = None,
    ) -> None:
        clock = clock or FakeClock()
        self.log = log
        self.batch_size = batch_size
        self.registry = registry or CollectorRegistry()
        self.metrics = LoopMetrics(self.registry)
        self.offsets = Offsets()
        self.breaker = Breaker()
        self.retries = Retries(clock)
        self.producer = FakeProducer(log)
        self.replier = Replier(
            self.producer,
            service=service,
            existing_topics=self._existing_topics,
            dropped=lambda reason: self.metrics.replies_dropped.labels(reason).inc(),
        )
        #: What became of each finished record, in order: its type and its outcome.
        self.outcomes: list[tuple[str, Outcome]] = []
        self._observer = observer
        settlement = Settlement(
            service=service,
            version="1.2.3",
            publisher=Publisher(self.producer, service=service),
            replier=self.replier,
            retries=self.retries,
            breaker=self.breaker,
            metrics=self.metrics,
            observer=self._observe,
            clock=clock,
        )
        self.loop = ConsumeLoop(
            admission=Admission(service, accepts, verifier or FakeVerifier(), clock),
            handler=handler,
            settlement=settlement,
            offsets=self.offsets,
            retries=self.retries,
            breaker=self.breaker,
            metrics=self.metrics,
        )
        held = log.partitions_of(consumed_by(service)) if partitions is None else partitions
        self.consumer = FakeConsumer(log, held)
        self.offsets.assigned(held)

    @property
    def names(self) -> list[str]:
        """What became of each finished record, in order."""
        return [outcome.name for _, outcome in self.outcomes]

    def metric(self, name: str, **labels: str) -> float:
        """The value of one sample of this process' metrics; 0 where there is none."""
        return self.registry.get_sample_value(name, labels) or 0.0

    async def batch(self) -> int:
        """Take the next batch through the loop; answers how many records it held."""
        records = self.consumer.poll(self.batch_size)
        if records:
            await self.loop.handle(records, self.consumer)
        return len(records)

    async def run(self, *, batches: int = 10_000) -> None:
        """Handle what is there, commit it and let the replies go, until nothing is left or `batches` were taken."""
        for _ in range(batches):
            if await self.batch():
                continue
            await self.offsets.flush(self.consumer)
            await self.replied()
            if self.loop._timers:
                await self.woken()
            elif not self.consumer.ready():
                return

    async def woken(self) -> None:
        """Wait for the first waiting partition to be fetched again."""
        waiting = set(self.loop._timers)
        await eventually(lambda: not waiting or not waiting <= set(self.loop._timers))

    async def replied(self) -> None:
        """Wait for the replies on their way."""
        if self.replier._tasks:
            await asyncio.wait(self.replier._tasks)

    def lose(self, partitions: set[TopicPartition]) -> None:
        """Give partitions away as a rebalance does, after what was finished is committed."""
        self.offsets.revoked(partitions)
        self.loop.forget(partitions)
        for partition in partitions:
            self.consumer.position.pop(partition, None)
        self.consumer.paused -= partitions

    def crash(self) -> None:
        """Take away everything the process was about to do."""
        self.producer.crash()
        for task in self.replier._tasks:
            task.cancel()
        self.loop.forget(set(self.consumer.position))

    def _observe(self, message_type: str, outcome: Outcome) -> None:
        self.outcomes.append((message_type, outcome))
        if self._observer is not None:
            self._observer(message_type, outcome)

    async def _existing_topics(self) -> set[str]:
        await asyncio.sleep(0)
        return set(self.log.topics)


def answering(outcome: str = "done") -> Handler:
    """A handler that has nothing against any record."""

    async def handle(batch: Sequence[Any]) -> list[Outcome]:
        await asyncio.sleep(0)
        return [Outcome(outcome) for _ in batch]

    return handle
