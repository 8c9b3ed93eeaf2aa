"""FastStream's side of the loop: one subscriber a service, in batches, acknowledged by the loop alone.

What is set here differs from the library's defaults on purpose: its own parser reads headers and its acknowledgement
commits positions, and both would lose records. Source: reliability, "Known facts of the libraries".
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.prometheus import KafkaPrometheusMiddleware
from prometheus_client import CollectorRegistry

from shared.errors import Fatal
from shared.kafka.connection import client_options
from shared.kafka.consume import ConsumeLoop
from shared.kafka.decoding import accept_any_header_name
from shared.kafka.fetching import IsolatingConsumer
from shared.kafka.offsets import Offsets
from shared.kafka.records import Record
from shared.kafka.refusals import refusal_for_good
from shared.settings import KafkaSettings

_log = structlog.get_logger()

#: How long one fetch waits; our consumer's `getmany` then waits again, and never answers that it found nothing.
_FETCH_MS = 60_000
#: How long a rebalance waits for a running batch before its records are left to redelivery.
_REVOKE_SECONDS = 3.0
#: How long a commit may take that something waits for: one that is lost only means harmless redelivery.
_COMMIT_SECONDS = 1.0
#: A batch that runs longer than this makes the service no longer live.
_STUCK_SECONDS = 300.0
#: So many refusals in a row, five seconds apart, do as well.
_REFUSALS = 12


class Subscription(ConsumerRebalanceListener):  # type: ignore[misc]
    """The subscription of one service: feeds the loop, and commits what it has finished."""

    def __init__(
        self,
        *,
        service: str,
        topics: Sequence[str],
        batch_size: int,
        settings: KafkaSettings,
        loop: ConsumeLoop,
        offsets: Offsets,
        registry: CollectorRegistry,
        fatal: Callable[[Fatal], None],
    ) -> None:
        self._loop = loop
        self._offsets = offsets
        self._fatal = fatal
        self._draining = False
        self._batch_started: float | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._committing: asyncio.Task[None] | None = None
        self._broker = _Broker(
            settings.bootstrap_servers.split(","),
            client_id=f"lesson-progress-{service}",
            apply_types=False,
            allow_auto_create_topics=False,
            consumer_only=True,
            metadata_max_age_ms=30_000,
            graceful_timeout=0.1,  # `drain` has waited for the batch in hand
            middlewares=[KafkaPrometheusMiddleware(registry=registry, app_name=service)],
            logger=None,
        )
        self._broker.refused = self._on_refusal
        self._broker.connection = client_options(settings)
        self._subscriber = self._broker.subscriber(
            *topics,
            batch=True,
            max_records=batch_size,
            batch_timeout_ms=_FETCH_MS,
            group_id=service,
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=min(3_000, settings.session_timeout_ms // 3),
            max_poll_interval_ms=600_000,
            fetch_max_wait_ms=settings.fetch_max_wait_ms,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            partition_assignment_strategy=[StickyPartitionAssignor],
            listener=self,
            parser=_parse,
            decoder=_decode,
        )
        self._subscriber(self._on_batch)

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """The consumer, once the subscription has started."""
        return self._subscriber.consumer

    @property
    def alive(self) -> bool:
        """Whether batches are taken and none is stuck, fetches are not refused for long, and commits are made."""
        started = self._batch_started
        stuck = started is not None and asyncio.get_running_loop().time() - started > _STUCK_SECONDS
        tasks = self._subscriber.tasks
        fetching = not tasks or not all(task.done() for task in tasks)
        committing = self._committing is None or not self._committing.done()
        refused = self.consumer is not None and self.consumer.refusals >= _REFUSALS
        return fetching and committing and not stuck and not refused

    async def start(self) -> None:
        """Join the group and begin; the first batches arrive from now on."""
        accept_any_header_name()
        await self._broker.start()
        self._committing = asyncio.create_task(self._offsets.run(self))
        self._committing.add_done_callback(_report_end)

    async def drain(self, seconds: float) -> None:
        """Take no further batch, let the running one finish within `seconds`, and commit within one more."""
        self._draining = True
        await self._quiet(seconds)
        self._loop.close()
        await self._commit_now()

    async def stop(self) -> None:
        """Leave the group."""
        if self._committing is not None:
            self._committing.remove_done_callback(_report_end)
            self._committing.cancel()
            await asyncio.wait({self._committing})
        await self._broker.stop()

    async def commit(self, offsets: Any) -> None:
        """Store the next offset to read of each partition."""
        if self.consumer is not None:
            await self.consumer.commit(dict(offsets))

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Commit what is finished before another consumer takes over."""
        await self._quiet(_REVOKE_SECONDS)
        await self._commit_now()
        self._offsets.revoked(revoked)
        self._loop.forget(revoked)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Begin with these partitions where the group's commits say."""
        self._offsets.assigned(assigned)
        _log.info("partitions.assigned", partitions=len(assigned))

    async def _quiet(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)

    async def _commit_now(self) -> None:
        # The client repeats a commit for as long as the coordinator asks it to, and holds up whoever waits.
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                await self._offsets.flush(self)
        except TimeoutError:
            _log.warning("offsets.given_up", seconds=_COMMIT_SECONDS)

    def _on_refusal(self, failure: KafkaError) -> None:
        if fatal := refusal_for_good(failure):
            self._give_up(fatal)

    async def _on_batch(self, records: Sequence[Record]) -> None:
        consumer = self.consumer
        if self._draining or consumer is None:
            return
        self._idle.clear()
        self._batch_started = asyncio.get_running_loop().time()
        try:
            await self._loop.handle(records, consumer)
        except Fatal as failure:
            self._give_up(failure)
        except Exception as failure:  # noqa: BLE001 - the process must not go on beside a dead loop
            _log.exception("loop.failed")
            self._give_up(Fatal(f"the consume loop itself failed with {type(failure).__name__}; nothing was committed"))
        finally:
            self._batch_started = None
            self._idle.set()

    def _give_up(self, failure: Fatal) -> None:
        self._draining = True
        self._fatal(failure)


def _report_end(committing: asyncio.Task[None]) -> None:
    """Nobody has stopped it: nothing is committed any more, and liveness fails for that."""
    _log.error("offsets.ended", exc_info=None if committing.cancelled() else committing.exception())


class _Broker(KafkaBroker):
    refused: Callable[[KafkaError], None]
    #: Put in place of what the library makes of its own security settings.
    connection: dict[str, Any]

    async def _connect(self) -> Callable[..., AIOKafkaConsumer]:
        options: dict[str, Any] = (await super()._connect()).keywords  # type: ignore[attr-defined]
        self.config.broker_config.builder = partial(
            IsolatingConsumer, refused=self.refused, **{**options, **self.connection}
        )
        return self.config.broker_config.builder


async def _parse(records: Sequence[Record]) -> KafkaMessage:
    # The library's own parser decodes headers and passes over the batch when one is not UTF-8.
    return KafkaMessage(
        body=[record.value or b"" for record in records],
        raw_message=records,
        consumer=_NoAcknowledgement(),
    )


async def _decode(message: KafkaMessage) -> Sequence[Record]:
    raw: Sequence[Record] = message.raw_message
    return raw


class _NoAcknowledgement:
    """Stands where the library would commit positions."""

    async def commit(self) -> None:
        """Commit nothing."""

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Seek nowhere."""
