"""What follows from a decided batch: events published, dead letters buried, replies sent, each record reported."""

from collections.abc import Callable, Sequence

import structlog

from shared.clock import Clock
from shared.contracts.topics import dead_letters_of
from shared.errors import Permanent, Transient
from shared.kafka.admission import Delivery
from shared.kafka.deadletter import DeadLetter, dead_letter
from shared.kafka.metrics import LoopMetrics
from shared.kafka.produce import Publication, Publisher
from shared.kafka.records import Outcome, partition_of
from shared.kafka.replies import Replier, Reply
from shared.kafka.retries import UNKNOWN_ATTEMPTS, Breaker, Retries

_log = structlog.get_logger()

#: Told of every finished record: its type and what became of it.
Observer = Callable[[str, Outcome], None]


class Settlement:
    """Carries out the outcomes of a batch; a record is settled when nothing about it is left to do."""

    def __init__(
        self,
        *,
        service: str,
        version: str,
        publisher: Publisher,
        replier: Replier,
        retries: Retries,
        breaker: Breaker,
        metrics: LoopMetrics,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._service = service
        self._version = version
        self._publisher = publisher
        self._replier = replier
        self._retries = retries
        self._breaker = breaker
        self._metrics = metrics
        self._observer = observer
        self._clock = clock

    async def settle(self, deliveries: Sequence[Delivery]) -> None:
        """Publish and wait for acknowledgements; bury what is dead; then answer. Failures stay on their deliveries."""
        await self._publish(deliveries)
        await self._bury([d for d in deliveries if self._is_dead(d)])
        for delivery in deliveries:
            delivery.settled = delivery.settled or (delivery.outcome is not None and delivery.outcome.failure is None)
        self._answer(deliveries)

    async def _publish(self, deliveries: Sequence[Delivery]) -> None:
        out = [
            (delivery, Publication(event, delivery.cause))
            for delivery in deliveries
            if delivery.outcome is not None and delivery.outcome.failure is None
            for event in delivery.outcome.events
        ]
        if not out:
            return
        failures = await self._publisher.publish([publication for _, publication in out])
        for (delivery, _), failure in zip(out, failures, strict=True):
            if failure is not None:
                delivery.fail(failure)

    def _is_dead(self, delivery: Delivery) -> bool:
        failure = delivery.outcome.failure if delivery.outcome is not None else None
        if failure is None or isinstance(failure, Transient):
            return False
        partition, offset = partition_of(delivery.record), delivery.record.offset
        attempts = self._retries.failed(partition, offset)
        if isinstance(failure, Permanent):
            return True
        if attempts.count < UNKNOWN_ATTEMPTS:
            return False
        self._breaker.finished(partition, offset, died=True)
        return not self._breaker.open

    async def _bury(self, dying: Sequence[Delivery]) -> None:
        if not dying:
            return
        letters = [self._letter(delivery) for delivery in dying]
        failures = await self._publisher.bury(dead_letters_of(self._service), letters)
        for delivery, letter, failure in zip(dying, letters, failures, strict=True):
            if failure is not None:
                delivery.fail(Transient(type(failure).__name__))
                continue
            delivery.settled = True
            # Nothing is remembered of it: what waits on makes the loop look at every record of every batch.
            self._retries.settled(partition_of(delivery.record), delivery.record.offset)
            error = type(_failure_of(delivery)).__name__
            self._metrics.dead_letters.labels(delivery.record.topic, error).inc()
            if letter.value_dropped:
                self._metrics.dead_letters_truncated.inc()

    def _letter(self, delivery: Delivery) -> DeadLetter:
        return dead_letter(
            delivery.record,
            group=self._service,
            failure=_failure_of(delivery),
            attempts=self._retries.of(partition_of(delivery.record), delivery.record.offset),
            at=delivery.at,
            version=self._version,
        )

    def _answer(self, deliveries: Sequence[Delivery]) -> None:
        now = self._clock()
        replies = [
            Reply(
                message=delivery.outcome.reply,
                topic=delivery.envelope.reply_to,
                key=delivery.record.key,
                correlation_id=delivery.envelope.correlation_id,
                command=delivery.reference,
                time=now,
                cause=delivery.cause,
            )
            for delivery in deliveries
            if delivery.settled
            and delivery.outcome is not None
            and delivery.outcome.reply is not None
            and delivery.envelope is not None
            and delivery.envelope.reply_to is not None
        ]
        if replies:
            self._replier.send(replies)

    def report(self, deliveries: Sequence[Delivery], *, duration_ms: float) -> None:
        """One log line and the service's own metrics for every settled record."""
        duration = round(duration_ms, 3)
        for delivery in deliveries:
            outcome = delivery.outcome
            if not delivery.settled or outcome is None:
                continue
            if outcome.failure is None or isinstance(outcome.failure, Permanent):
                self._breaker.finished(partition_of(delivery.record), delivery.record.offset, died=False)
            self._observer(delivery.type, outcome)
            record = delivery.record
            _log.info(
                outcome.log_event or f"{delivery.type}.{outcome.name}",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                correlationId=delivery.cause.correlation,
                outcome=outcome.name,
                durationMs=duration,
                **outcome.log_fields,
            )


def _failure_of(delivery: Delivery) -> Exception:
    failure = delivery.outcome.failure if delivery.outcome is not None else None
    return failure if failure is not None else RuntimeError("no failure")
