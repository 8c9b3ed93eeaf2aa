"""The one consume loop: write, publish, commit; one outcome per record; nothing lost, nothing doubled.

For each batch: admit every record, hand the readable ones to the handler at once, publish what follows and wait for
every acknowledgement, bury what is dead, and let the offsets of the finished prefix be committed. A record that must
wait holds its own partition: the consumer is sent back to it and paused there until its back-off is over, while the
other partitions go on. Source: reliability, "The one consume loop".
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, Protocol

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from shared.errors import Fatal, Transient
from shared.kafka.admission import Admission, Delivery
from shared.kafka.metrics import LoopMetrics
from shared.kafka.offsets import Offsets
from shared.kafka.records import Outcome, Received, Record, partition_of
from shared.kafka.retries import Breaker, Retries, backoff
from shared.kafka.settle import Settlement

_log = structlog.get_logger()

#: Answers one outcome per record, in the same order. Raises Transient when the whole batch must wait.
Handler = Callable[[Sequence[Received[Any]]], Awaitable[Sequence[Outcome]]]


class Consumer(Protocol):
    """The part of aiokafka's consumer that moves the position."""

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read this partition from this offset on."""

    def pause(self, *partitions: TopicPartition) -> None:
        """Fetch nothing from these partitions for now."""

    def resume(self, *partitions: TopicPartition) -> None:
        """Fetch from these partitions again."""


class ConsumeLoop:
    """What one service does with every batch of records."""

    def __init__(
        self,
        *,
        admission: Admission,
        handler: Handler,
        settlement: Settlement,
        offsets: Offsets,
        retries: Retries,
        breaker: Breaker,
        metrics: LoopMetrics,
    ) -> None:
        self._admission = admission
        self._handler = handler
        self._settlement = settlement
        self._offsets = offsets
        self._retries = retries
        self._breaker = breaker
        self._metrics = metrics
        #: Records after a waiting one that are settled already: they come again and are passed over.
        self._ahead: defaultdict[TopicPartition, set[int]] = defaultdict(set)
        self._timers: dict[TopicPartition, asyncio.TimerHandle] = {}

    async def handle(self, records: Sequence[Record], consumer: Consumer) -> None:
        """Take one batch through the loop.

        Raises:
            Fatal: the process cannot do its work; nothing of this batch will be committed.
        """
        if self._breaker.open:
            self._hold({partition_of(r): r for r in reversed(records)}.values(), consumer)
            return
        started = perf_counter()
        for (topic, partition), first in {(r.topic, r.partition): r for r in reversed(records)}.items():
            self._offsets.fetched(TopicPartition(topic, partition), first.offset, first.timestamp)
        fresh = [r for r in records if r.offset not in self._ahead.get(partition_of(r), ())] if self._ahead else records
        deliveries = await self._admission.admit(fresh)
        await self._decide([d for d in deliveries if d.outcome is None])
        await self._settlement.settle(deliveries)
        self._settlement.report(deliveries, duration_ms=(perf_counter() - started) * 1000)
        self._advance(records, deliveries, consumer)

    def forget(self, partitions: set[TopicPartition]) -> None:
        """These partitions are another consumer's now."""
        self._retries.forget(partitions)
        for partition in partitions:
            self._ahead.pop(partition, None)
            if timer := self._timers.pop(partition, None):
                timer.cancel()

    def close(self) -> None:
        """Wake no partition any more."""
        self.forget(set(self._timers))

    async def _decide(self, pending: Sequence[Delivery]) -> None:
        if not pending:
            return
        try:
            await self._ask(pending)
        except Transient as failure:
            _fail(pending, failure)
        except Fatal:
            raise
        except Exception as failure:  # noqa: BLE001 - an unknown error is a record's failure, counted and bounded
            # One record's bug must not condemn its neighbours: each is asked about alone.
            _log.exception("batch.failed", records=len(pending))
            if len(pending) == 1:
                _fail(pending, failure)
            else:
                await self._decide_one_by_one(pending)

    async def _decide_one_by_one(self, pending: Sequence[Delivery]) -> None:
        for place, delivery in enumerate(pending):
            try:
                await self._ask([delivery])
            except Transient as failure:
                # The outside is away for all that follow: each of them would only wait for its own time-out.
                _fail(pending[place:], failure)
                return
            except Fatal:
                raise
            except Exception as failure:  # noqa: BLE001 - see `_decide`
                _log.exception("batch.failed", records=1)
                delivery.fail(failure)

    async def _ask(self, pending: Sequence[Delivery]) -> None:
        received = [d.received for d in pending if d.received is not None]
        for delivery, outcome in zip(pending, await self._handler(received), strict=True):
            delivery.outcome = outcome

    def _advance(self, records: Sequence[Record], deliveries: Sequence[Delivery], consumer: Consumer) -> None:
        """Let the finished prefix of each partition be committed, and go back to the first record that must wait."""
        unsettled = {(partition_of(d.record), d.record.offset): d for d in deliveries if not d.settled}
        if not (unsettled or self._ahead or self._retries):
            # As nearly always: nothing waits, and nothing is remembered of earlier tries.
            for (topic, number), last in {(r.topic, r.partition): r for r in records}.items():
                self._offsets.finish(TopicPartition(topic, number), last.offset + 1, last.timestamp)
            return
        waiting: dict[TopicPartition, Delivery] = {}
        for record in records:
            partition, offset = partition_of(record), record.offset
            held = unsettled.get((partition, offset))
            if not self._offsets.holds(partition):
                # Another consumer's by now: what is remembered here would mislead us when it comes back.
                self._retries.settled(partition, offset)
            elif held is not None:
                waiting.setdefault(partition, held)
            elif partition in waiting:
                self._ahead[partition].add(offset)
            else:
                self._ahead[partition].discard(offset)
                if not self._ahead[partition]:
                    del self._ahead[partition]
                self._retries.settled(partition, offset)
                self._offsets.finish(partition, offset + 1, record.timestamp)
        for delivery in waiting.values():
            self._wait(delivery, consumer)

    def _wait(self, delivery: Delivery, consumer: Consumer) -> None:
        failure = delivery.outcome.failure if delivery.outcome is not None else None
        partition, offset = partition_of(delivery.record), delivery.record.offset
        if isinstance(failure, Transient):
            attempt = self._retries.stalled(partition, offset).stalls
        else:
            attempt = self._retries.of(partition, offset).count
        self._metrics.retries.labels(type(failure).__name__).inc()
        seconds = backoff(attempt)
        _log.warning(
            "record.waits", topic=partition.topic, partition=partition.partition, offset=offset,
            error=type(failure).__name__, attempt=attempt, seconds=round(seconds, 3),
        )  # fmt: skip
        self._hold([delivery.record], consumer)
        self._metrics.breaker_open.set(self._breaker.open)
        loop = asyncio.get_running_loop()
        self._timers[partition] = loop.call_later(seconds, self._resume, partition, consumer)

    @staticmethod
    def _hold(records: Sequence[Record] | Any, consumer: Consumer) -> None:
        for record in records:
            partition = partition_of(record)
            try:
                consumer.seek(partition, record.offset)
                consumer.pause(partition)
            except IllegalStateError:
                _log.info("partition.gone", topic=partition.topic, partition=partition.partition)

    def _resume(self, partition: TopicPartition, consumer: Consumer) -> None:
        self._timers.pop(partition, None)
        try:
            consumer.resume(partition)
        except IllegalStateError:
            _log.info("partition.gone", topic=partition.topic, partition=partition.partition)


def _fail(deliveries: Sequence[Delivery], failure: Exception) -> None:
    for delivery in deliveries:
        delivery.fail(failure)
