"""Stand-ins for the outside that outlive the processes which use them: a log, its clients, a verifier, a store.

A real broker's promises, and no more of them: offsets per partition, positions per consumer, commits per group, an
acknowledgement per message that may be refused, lost, or never come. Every effect lies between two numbered steps, so
that a test can stop the process before and after each of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, MessageSizeTooLargeError, UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord

from services.progress.domain import Completion, CourseProgress, Enrollment, Lesson, Recorded
from services.progress.ports import LearnerInCourse
from shared.contracts.topics import DEAD_LETTER_BYTES, TOPICS
from shared.errors import Transient
from shared.identity import Identity, NotAuthenticated, Reason, TokenVerifier
from shared.kafka.records import LOG_APPEND_TIME, Record
from tests.support.key_set import FakeClock

Header = tuple[str, bytes | None]
#: Decides what becomes of one message: None lets it through, an error refuses it.
Refusal = Callable[[str, bytes | None], Exception | None]


class Steps:
    """Every place where a process can stop: each effect of a fake lies between two of them."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.at: int | None = None
        self.stop: Callable[[], Awaitable[None]] | None = None

    async def reach(self, name: str) -> None:
        """Come to the next step; a process that is to stop here goes no further."""
        number = len(self.names)
        self.names.append(name)
        await asyncio.sleep(0)
        if number == self.at and self.stop is not None:
            await self.stop()


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
        self.holders: dict[TopicPartition, FakeConsumer] = {}
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


class FakeConsumer:
    """One member of the group: positions, pauses, and commits that are refused once another member took over."""

    def __init__(self, log: FakeLog, partitions: Iterable[TopicPartition], steps: Steps | None = None) -> None:
        self._log = log
        self._steps = steps or Steps()
        self.position: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.commit_failures: list[Exception] = []
        #: Fetches that were refused, in a row.
        self.refusals = 0
        self.assign(partitions)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Begin with these partitions where the group's commits say; whoever held them holds them no more."""
        self.position = {partition: self._log.committed.get(partition, 0) for partition in sorted(partitions)}
        self.paused = set()
        for partition in self.position:
            self._log.holders[partition] = self

    def assignment(self) -> set[TopicPartition]:
        return set(self.position)

    def highwater(self, partition: TopicPartition) -> int:
        return self._log.end(partition)

    def poll(self, max_records: int = 1000) -> tuple[Record, ...]:
        """What the next fetch gives: partition after partition, each in order, no paused one."""
        batch: list[Record] = []
        for partition, position in self.position.items():
            if partition not in self.paused:
                written = self._log.topics[partition.topic][partition.partition]
                records = written[position : position + max_records - len(batch)]
                self.position[partition] += len(records)
                batch += records
        return tuple(batch)

    def ready(self) -> bool:
        """Whether the next fetch gives anything."""
        return any(self._log.end(p) > position for p, position in self.position.items() if p not in self.paused)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._check_assigned(partition)
        self.position[partition] = offset

    def pause(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self._check_assigned(partition)
        self.paused.update(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self._check_assigned(partition)
        self.paused.difference_update(partitions)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        for partition in offsets:
            self._check_assigned(partition)
        await self._steps.reach("before the commit")
        if self.commit_failures:
            raise self.commit_failures.pop(0)
        if any(self._log.holders.get(partition) is not self for partition in offsets):
            raise CommitFailedError
        self._log.before_commit(offsets)
        self._log.committed.update(offsets)
        self._log.commits.append(dict(offsets))
        await self._steps.reach("after the commit")

    def _check_assigned(self, partition: TopicPartition) -> None:
        if partition not in self.position:
            raise IllegalStateError(f"{partition} is not assigned")


class FakeProducer:
    """aiokafka's producer as far as it is used, with the library's own record format on the way to the log."""

    def __init__(self, log: FakeLog, steps: Steps | None = None) -> None:
        self._log = log
        self._steps = steps or Steps()
        self._tasks: set[asyncio.Task[Any]] = set()
        #: Refuse before the message is written.
        self.refuse: Refusal = lambda _topic, _value: None
        #: Write the message and fail all the same: the acknowledgement was lost.
        self.lose: Refusal = lambda _topic, _value: None
        #: Topics whose acknowledgements never come.
        self.silent: set[str] = set()

    async def send(
        self, topic: str, value: bytes | None = None, key: bytes | None = None, headers: Any = None
    ) -> Awaitable[Any]:
        assert value is not None or key is not None, "the library refuses a message without key and value"
        if sum(len(part or b"") for part in (key, value)) > DEAD_LETTER_BYTES:
            raise MessageSizeTooLargeError
        batch = self.create_batch()
        batch.append(timestamp=None, key=key, value=value, headers=headers)
        batch.close()
        partitions = await self.partitions_for(topic)
        return await self.send_batch(batch, topic, partition=sum(key or b"") % len(partitions))

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(256 * 1024, 0)

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Awaitable[Any]:
        await self.partitions_for(topic)
        task = asyncio.ensure_future(self._acknowledged(batch, topic, partition))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def partitions_for(self, topic: str) -> set[int]:
        if topic not in self._log.topics:
            raise UnknownTopicOrPartitionError
        return set(range(len(self._log.topics[topic])))

    def crash(self) -> None:
        """Take everything away that is on its way."""
        for task in self._tasks:
            task.cancel()

    async def _acknowledged(self, batch: BatchBuilder, topic: str, partition: int) -> None:
        wire = bytes(batch._build())
        await self._steps.reach(f"before a message to {topic}")
        if topic in self.silent:
            await asyncio.Event().wait()
        for record in MemoryRecords(wire).next_batch():
            if refusal := self.refuse(topic, record.value):
                raise refusal
            if topic in TOPICS and len(wire) > TOPICS[topic].max_bytes:
                raise MessageSizeTooLargeError
            self._log.append(topic, record.value, key=record.key, headers=record.headers, partition=partition)
            if lost := self.lose(topic, record.value):
                raise lost
        await self._steps.reach(f"after a message to {topic}")


class FakeVerifier(TokenVerifier):
    """Believes `Bearer learner:<id>` and `Bearer operator:<id>`, and nothing else."""

    def __init__(self) -> None:
        self.away = False
        #: The moments at which it was asked, epoch ms.
        self.asked: list[int] = []

    async def authenticate_batch(self, batch: Sequence[tuple[str | bytes, int]]) -> list[Identity | NotAuthenticated]:
        if self.away:
            raise Transient("there is no key set yet")
        await asyncio.sleep(0)
        self.asked += [at for _, at in batch]
        return [self._judge(str(token)) for token, _ in batch]

    @staticmethod
    def _judge(token: str) -> Identity | NotAuthenticated:
        role, _, user_id = token.removeprefix("Bearer ").partition(":")
        if not token.startswith("Bearer ") or role not in {"learner", "operator"}:
            return NotAuthenticated(Reason.SIGNATURE)
        return Identity(user_id, operator=role == "operator")


@dataclass
class FakeProgressStore:
    """Progress' facts and the catalog they refer to, in memory: one fact a learner and lesson."""

    steps: Steps = field(default_factory=Steps)
    #: By lesson.
    catalog: dict[str, Lesson] = field(default_factory=dict)
    #: The lessons that count, in course order, by course.
    counted: dict[str, list[str]] = field(default_factory=dict)
    enrolled: dict[LearnerInCourse, Enrollment] = field(default_factory=dict)
    facts: dict[tuple[str, str], Completion] = field(default_factory=dict)
    #: The errors of the next calls, one each; None lets a call through.
    failures: list[Exception | None] = field(default_factory=list)
    away: bool = False
    #: How many writes are stored without an answer.
    lost_answers: int = 0
    #: What asking about these learners raises.
    bugs: dict[str, Exception] = field(default_factory=dict)
    #: Names of the methods that were called, in order.
    calls: list[str] = field(default_factory=list)

    async def lessons(self, lesson_ids: Collection[str]) -> Mapping[str, Lesson]:
        await self._answer("lessons")
        return {lesson_id: self.catalog[lesson_id] for lesson_id in lesson_ids if lesson_id in self.catalog}

    async def enrollments(self, learners: Collection[LearnerInCourse]) -> Mapping[LearnerInCourse, Enrollment]:
        await self._answer("enrollments")
        for learner in learners:
            if learner.user_id in self.bugs:
                raise self.bugs[learner.user_id]
        return {learner: self.enrolled[learner] for learner in learners if learner in self.enrolled}

    async def record(self, completions: Sequence[Completion]) -> Mapping[str, Recorded]:
        await self._answer("record")
        recorded: dict[str, Recorded] = {}
        for completion in completions:
            place = completion.user_id, completion.lesson_id
            already = place in self.facts
            recorded[completion.progress_id] = Recorded(self.facts.setdefault(place, completion), already)
            await self.steps.reach("after a write")
        if self.lost_answers:
            self.lost_answers -= 1
            raise Transient("the answer was lost")
        return recorded

    async def recorded(self, progress_ids: Collection[str]) -> Mapping[str, Completion]:
        await self._answer("recorded")
        return {fact.progress_id: fact for fact in self.facts.values() if fact.progress_id in progress_ids}

    async def recorded_after(self, progress_id: str | None, limit: int) -> Sequence[Completion]:
        await self._answer("recorded_after")
        stored = sorted(self.facts.values())
        return [fact for fact in stored if progress_id is None or fact.progress_id > progress_id][:limit]

    async def record_count(self) -> int:
        await self._answer("record_count")
        return len(self.facts)

    async def course_progress(self, learner: LearnerInCourse) -> CourseProgress | None:
        await self._answer("course_progress")
        enrollment = self.enrolled.get(learner)
        if enrollment is None:
            return None
        done = {lesson_id for user_id, lesson_id in self.facts if user_id == learner.user_id}
        counted = self.counted.get(learner.course_id, [])
        return CourseProgress(enrollment.enrollment_id, counted, done & set(counted))

    async def _answer(self, call: str) -> None:
        self.calls.append(call)
        await self.steps.reach(f"before {call}")
        failure = self.failures.pop(0) if self.failures else None
        if self.away:
            raise Transient("the database is away")
        if failure is not None:
            raise failure
