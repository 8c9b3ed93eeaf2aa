"""A broker's log in memory, which outlives the processes that use it.

A real broker's promises, and no more of them: offsets per partition, commits per group.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from shared.contracts.topics import TOPICS
from shared.kafka.records import LOG_APPEND_TIME, Record
from tests.support.key_set import FakeClock

Header = tuple[str, bytes | None]


class FakeLog:
    """The broker's side: records by partition, and what each group has committed."""

    def __init__(self, clock: Callable[[], int] | None = None, *, partitions: int = 1) -> None:
        self._clock = clock or FakeClock()
        self._partitions = partitions
        self.topics: dict[str, list[list[Record]]] = {}
        self.committed: dict[TopicPartition, int] = {}
        #: The first offset that retention has left, where it has taken any.
        self.begins: dict[TopicPartition, int] = {}
        #: Every commit that was accepted, in order.
        self.commits: list[dict[TopicPartition, int]] = []
        #: The consumer that each partition is assigned to.
        self.holders: dict[TopicPartition, object] = {}
        #: Sees every commit before it is accepted.
        self.before_commit: Callable[[Mapping[TopicPartition, int]], None] = lambda _: None
        self.create(*TOPICS)

    def create(self, *topics: str) -> None:
        for topic in topics:
            one = topic.endswith((".deadletters", ".replays")) or topic.startswith("progress.replies")
            self.topics[topic] = [[] for _ in range(1 if one else self._partitions)]

    def delete(self, topic: str) -> None:
        del self.topics[topic]

    def append(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Iterable[Header] = (),
        partition: int = 0,
        timestamp: int | None = None,
        timestamp_type: int = LOG_APPEND_TIME,
    ) -> Record:
        """Write one record as a producer elsewhere would."""
        written = self.topics[topic][partition]
        record: Record = ConsumerRecord(
            topic,
            partition,
            len(written),
            self._clock() if timestamp is None else timestamp,
            timestamp_type,
            key,
            value,
            None,
            -1 if key is None else len(key),
            -1 if value is None else len(value),
            tuple(headers),
        )
        written.append(record)
        return record

    def add(self, *records: Record) -> list[Record]:
        """Write records that a builder made: theirs is everything but the offset."""
        added = []
        for record in records:
            written = self.topics[record.topic][record.partition]
            written.append(replace(record, offset=len(written)))
            added.append(written[-1])
        return added

    def read(self, topic: str) -> list[Record]:
        """Every record of a topic, partition after partition."""
        return [record for partition in self.topics[topic] for record in partition]

    def partitions_of(self, topics: Iterable[str]) -> set[TopicPartition]:
        return {TopicPartition(topic, number) for topic in topics for number in range(len(self.topics[topic]))}

    def end(self, partition: TopicPartition) -> int:
        return len(self.topics[partition.topic][partition.partition])

    def behind(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """How many records of these topics are not committed yet, where there are any."""
        lag = {p: self.end(p) - self.committed.get(p, 0) for p in self.partitions_of(topics)}
        return {partition: records for partition, records in lag.items() if records}
