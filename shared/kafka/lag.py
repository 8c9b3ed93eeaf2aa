"""How far behind a consumer is: in records per partition, in seconds per topic."""

from collections import defaultdict

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.clock import Clock
from shared.kafka.metrics import LoopMetrics
from shared.kafka.offsets import Offsets


class Lag:
    """Refreshes the lag gauges of the partitions this consumer holds."""

    def __init__(self, offsets: Offsets, metrics: LoopMetrics, clock: Clock) -> None:
        self._offsets = offsets
        self._metrics = metrics
        self._clock = clock
        self._caught_up_at: dict[TopicPartition, int] = {}
        self._shown: set[TopicPartition] = set()

    async def refresh(self, consumer: AIOKafkaConsumer) -> None:
        """Set the gauges to what is known now; a partition that is no longer ours is no longer shown."""
        now = self._clock()
        held: set[TopicPartition] = consumer.assignment()
        behind: defaultdict[str, float] = defaultdict(float)
        for partition in held:
            end = consumer.highwater(partition)
            next_offset = self._offsets.next_offset(partition)
            if next_offset is None:
                next_offset = await consumer.position(partition) if end is not None else 0
            records = max(0, (end or 0) - next_offset) if end is not None else 0
            self._metrics.lag_records.labels(partition.topic, str(partition.partition)).set(records)
            since = self._caught_up_at.setdefault(partition, now)
            if not records:
                self._caught_up_at[partition] = since = now
            behind[partition.topic] = max(behind[partition.topic], (now - since) / 1000)
        for topic, seconds in behind.items():
            self._metrics.lag_seconds.labels(topic).set(seconds)
        for gone in self._shown - held:
            self._metrics.lag_records.remove(gone.topic, str(gone.partition))
            self._caught_up_at.pop(gone, None)
        for topic in {p.topic for p in self._shown} - behind.keys():
            self._metrics.lag_seconds.remove(topic)
        self._shown = set(held)
