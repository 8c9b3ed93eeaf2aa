"""A service's whole Kafka side, put together: producer, loop, subscription, lag."""

import asyncio
from collections.abc import Callable, Mapping
from importlib.metadata import version

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from shared.clock import Clock
from shared.contracts.topics import DEAD_LETTER_BYTES, consumed_by
from shared.errors import Fatal, Transient
from shared.identity import TokenVerifier
from shared.kafka.admission import Admission
from shared.kafka.connection import BrokerAway, at_the_door, client_options, connected, reason_of
from shared.kafka.consume import ConsumeLoop, Handler
from shared.kafka.lag import Lag
from shared.kafka.metrics import LoopMetrics
from shared.kafka.offsets import Offsets
from shared.kafka.produce import Publisher
from shared.kafka.provisioning import check_topics
from shared.kafka.records import Accepts
from shared.kafka.replies import Replier
from shared.kafka.retries import Breaker, Retries
from shared.kafka.settle import Observer, Settlement
from shared.kafka.subscription import Subscription
from shared.settings import KafkaSettings

_LAG_SECONDS = 1.0
_CONNECTION_SECONDS = 10.0
_REPLIES_LAST_SECONDS = 1.0


def make_producer(settings: KafkaSettings, *, client_id: str) -> AIOKafkaProducer:
    """A producer whose acknowledgement means every in-sync replica has the message.

    Not the idempotent one: consumers are idempotent already, and aiokafka's can stop for good after broker trouble.
    """
    return AIOKafkaProducer(
        client_id=client_id,
        acks="all",
        enable_idempotence=False,
        max_request_size=DEAD_LETTER_BYTES,
        max_batch_size=256 * 1024,
        metadata_max_age_ms=30_000,
        request_timeout_ms=20_000,
        **client_options(settings),
    )


class KafkaSide:
    """What a service takes from the broker and gives back to it."""

    def __init__(
        self,
        service: str,
        *,
        settings: KafkaSettings,
        batch_size: int,
        accepts: Mapping[str, Accepts],
        handler: Handler,
        verifier: TokenVerifier,
        clock: Clock,
        registry: CollectorRegistry,
        fatal: Callable[[Fatal], None],
        observer: Observer = lambda _type, _outcome: None,
    ) -> None:
        self._service = service
        self._settings = settings
        self._batch_size = batch_size
        self._accepts = accepts
        self._handler = handler
        self._observer = observer
        self._verifier = verifier
        self._clock = clock
        self._registry = registry
        self._fatal = fatal
        self._metrics = LoopMetrics(registry)
        self._breaker = Breaker()
        self._offsets = Offsets()
        self._lag = Lag(self._offsets, self._metrics, clock)
        self._producer: AIOKafkaProducer | None = None
        self._replier: Replier | None = None
        self._subscription: Subscription | None = None

    @property
    def alive(self) -> bool:
        """Whether records are taken and none is stuck; also while the start is still waiting for the broker."""
        return self._subscription is None or self._subscription.alive

    @property
    def publisher(self) -> Publisher:
        """Publishes events outside the loop (sweeps); there once the side has started."""
        if self._producer is None:
            raise BrokerAway("the producer has not started")
        return Publisher(self._producer, service=self._service)

    async def check(self) -> None:
        """Ask the broker for a sign of life.

        Raises:
            Transient: none came, or the breaker is open.
        """
        if self._breaker.open:
            raise BreakerOpen("too many records died of unknown causes; restart when the cause is mended")
        if self._subscription is None:
            raise BrokerAway("not subscribed yet")
        await self._existing_topics()

    async def start(self) -> None:
        """Check the topics, then begin to take records.

        Raises:
            Fatal: a topic is missing or wrong, or the broker refuses this service.
            Transient: the broker is away.
        """
        await check_topics(self._settings, self._service)
        self._producer = await self._started_producer()
        self._replier = Replier(
            self._producer,
            service=self._service,
            existing_topics=self._existing_topics,
            dropped=lambda reason: self._metrics.replies_dropped.labels(reason).inc(),
        )
        subscription = Subscription(
            service=self._service,
            topics=consumed_by(self._service),
            batch_size=self._batch_size,
            settings=self._settings,
            loop=self._loop(self._producer, self._replier),
            offsets=self._offsets,
            registry=self._registry,
            fatal=self._fatal,
        )
        try:
            await subscription.start()
        except BaseException as failure:
            # Also when the start is given up: what has joined the group leaves it again.
            try:
                await subscription.stop()
            finally:
                await self._producer.stop()
            if isinstance(failure, KafkaError):
                raise await reason_of(failure, self._settings) from failure
            raise
        self._subscription = subscription

    async def drain(self, seconds: float) -> None:
        """Take no more, finish and commit what was taken, let the last replies go."""
        if self._subscription is not None:
            await self._subscription.drain(seconds)
        if self._replier is not None:
            await self._replier.close(_REPLIES_LAST_SECONDS)

    async def stop(self) -> None:
        """Leave the group and close every connection."""
        try:
            if self._subscription is not None:
                await self._subscription.stop()
        finally:
            if self._producer is not None:
                await self._producer.stop()

    async def watch_connection(self) -> None:
        """Look for the broker, once; to be repeated in the background.

        The clients connect again by themselves, in silence, also when they are no longer let in.

        Raises:
            Fatal: the broker no longer lets us in.
            Transient: it is away.
        """
        await asyncio.sleep(_CONNECTION_SECONDS)
        try:
            await self._existing_topics()
        except BrokerAway:
            if isinstance(refusal := await at_the_door(self._settings), Fatal):
                raise refusal from None
            raise

    async def watch_lag(self) -> None:
        """Refresh the lag gauges, once; to be repeated in the background."""
        await asyncio.sleep(_LAG_SECONDS)
        if self._subscription is not None and self._subscription.consumer is not None:
            await self._lag.refresh(self._subscription.consumer)

    def _loop(self, producer: AIOKafkaProducer, replier: Replier) -> ConsumeLoop:
        retries = Retries(self._clock)
        settlement = Settlement(
            service=self._service,
            version=version("lesson-progress"),
            publisher=Publisher(producer, service=self._service),
            replier=replier,
            retries=retries,
            breaker=self._breaker,
            metrics=self._metrics,
            observer=self._observer,
            clock=self._clock,
        )
        return ConsumeLoop(
            admission=Admission(self._service, self._accepts, self._verifier, self._clock),
            handler=self._handler,
            settlement=settlement,
            offsets=self._offsets,
            retries=retries,
            breaker=self._breaker,
            metrics=self._metrics,
        )

    async def _started_producer(self) -> AIOKafkaProducer:
        producer = make_producer(self._settings, client_id=f"lesson-progress-{self._service}")
        try:
            await connected(producer, self._settings)
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def _existing_topics(self) -> set[str]:
        if self._producer is None:
            raise BrokerAway("the producer has not started")
        try:
            metadata = await self._producer.client.fetch_all_metadata()
        except KafkaError as failure:
            raise BrokerAway("the broker does not answer") from failure
        return set(metadata.topics())


class BreakerOpen(Transient):
    """The service has stopped on purpose: too many records died of unknown causes."""
