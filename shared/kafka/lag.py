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
        #: When a partition was first seen behind of which no record was ever in hand.
        self._seen_at: dict[TopicPartition, int] = {}
        self._shown: set[TopicPartition] = set()

    async def refresh(self, consumer: AIOKafkaConsumer) -> None:
        """Set the gauges to what is known now; a partition that is no longer ours is no longer shown.

        Behind by how long: the oldest record that is still to be finished was written after the last finished one,
        after the first one in hand, and after the moment at which none was left. The latest of these is shown.
        """
        now = self._clock()
        held: set[TopicPartition] = consumer.assignment()
        behind: defaultdict[str, float] = defaultdict(float)
        for partition in held:
            end = consumer.highwater(partition)
            records = 0
            if end is not None:
                next_offset = self._offsets.next_offset(partition)
                if next_offset is None:
                    next_offset = await consumer.position(partition)
                records = max(0, end - next_offset)
                if not records:
                    self._caught_up_at[partition] = now
            self._metrics.lag_records.labels(partition.topic, str(partition.partition)).set(records)
            seconds = self._seconds(partition, now) if records else 0.0
            behind[partition.topic] = max(behind[partition.topic], seconds)
        for topic, seconds in behind.items():
            self._metrics.lag_seconds.labels(topic).set(seconds)
        for gone in self._shown - held:
            self._metrics.lag_records.remove(gone.topic, str(gone.partition))
            self._caught_up_at.pop(gone, None)
            self._seen_at.pop(gone, None)
        for topic in {p.topic for p in self._shown} - behind.keys():
            self._metrics.lag_seconds.remove(topic)
        self._shown = set(held)

    def _seconds(self, partition: TopicPartition, now: int) -> float:
        known = [
            at for at in (self._offsets.written_at(partition), self._caught_up_at.get(partition)) if at is not None
        ]
        if not known:
            # Its first records cannot be read, or have not come yet: at least as long as it has been seen like this.
            return (now - self._seen_at.setdefault(partition, now)) / 1000
        self._seen_at.pop(partition, None)
        return (now - max(known)) / 1000
