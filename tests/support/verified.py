"""The three services over one log in memory, whose run can be verified: healthy, or with a defect planted in it."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from ops.unreadable import Sieve
from ops.verify.findings import Findings
from ops.verify.index import Index
from ops.verify.judges import Judges
from ops.verify.reading import Extent, Unreadable
from ops.verify.run import Verification
from services.certificates.domain import Links
from services.certificates.inspection import Judge as CertificatesJudge
from services.progress.inspection import Judge as ProgressJudge
from services.progress.messaging import ACCEPTS, ProgressMessages
from services.progress.metrics import ProgressMetrics
from services.recalculator.inspection import Judge as RecalculatorJudge
from shared.contracts.topics import PROGRESS_COMMANDS, SERVICES, consumed_by
from shared.kafka.records import LOG_APPEND_TIME, Record
from tests.support.builders import catalog, command, enrollment_id, envelope, record
from tests.support.certifying import PUBLIC_URL, Certifying, generate, revoke
from tests.support.fake_log import FakeLog
from tests.support.fake_verifier import FakeVerifier
from tests.support.fakes_certificates import FakeCertificateStore
from tests.support.fakes_recalculator import FakeRecalculatorStore
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock
from tests.support.process import Process
from tests.support.recalculating import Recalculating, course_changed, recalculate_command

COURSE = "course-1"
LESSONS = ("lesson-1", "lesson-2")
#: Ada and Alan complete the course, Ben has begun it, Carol has done nothing; Alan's certificate is withdrawn.
ADA, ALAN, BEN, CAROL = "ada", "alan", "ben", "carol"


class FakeTopics:
    """A log in memory as a verification reads it; some of it may be lost, or cannot be read."""

    def __init__(self, log: FakeLog) -> None:
        self._log = log
        #: Where partitions begin that have lost what stood before.
        self.begins: dict[TopicPartition, int] = {}
        self.unreadable: set[TopicPartition] = set()
        self.batch = 3

    async def committed(self) -> Mapping[tuple[str, TopicPartition], int]:
        readers = {topic: service for service in SERVICES for topic in consumed_by(service)}
        return {(readers[p.topic], p): offset for p, offset in self._log.committed.items()}

    async def extents(self, topics: Collection[str]) -> Mapping[TopicPartition, Extent]:
        partitions = self._log.partitions_of(topic for topic in topics if topic in self._log.topics)
        return {p: Extent(self.begins.get(p, 0), self._log.end(p)) for p in partitions}

    async def existing(self) -> Collection[str]:
        return set(self._log.topics)

    async def read(self, partition: TopicPartition, extent: Extent) -> AsyncIterator[Sequence[Record]]:
        if partition in self.unreadable:
            raise Unreadable("damaged")
        written = self._log.topics[partition.topic][partition.partition][extent.begin : extent.end]
        for start in range(0, len(written), self.batch):
            yield written[start : start + self.batch]


class Run:
    """A platform, three services, and what they wrote."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.log = FakeLog(self.clock, partitions=2)
        self.topics = FakeTopics(self.log)
        #: Documents that every store meets and none can read: collection, document.
        self.torn: list[tuple[str, dict[str, Any]]] = []
        self.progress = catalog({COURSE: list(LESSONS)}, learners=(ADA, ALAN, BEN, CAROL))
        self.recalculator = FakeRecalculatorStore()
        self.certificates = FakeCertificateStore()
        registry = CollectorRegistry()
        messages = ProgressMessages(self.progress, ProgressMetrics(registry), self.clock)
        self._progress = Process(
            self.log, accepts=ACCEPTS, handler=messages, observer=messages.observe, clock=self.clock, registry=registry
        )
        self._recalculator = Recalculating(self.log, self.recalculator, self.clock)
        self._certificates = Certifying(self.log, self.certificates, self.clock)

    async def prepare(self) -> None:
        await self.recalculator.course(COURSE, LESSONS, previews=["preview-1"])
        await self.certificates.course(COURSE, "Analytical Engines")
        for user_id in (ADA, ALAN, BEN, CAROL):
            await self.certificates.user(user_id, user_id.capitalize())
            await self.recalculator.enroll(enrollment_id(user_id), user_id, COURSE)
            await self.certificates.enroll(enrollment_id(user_id), user_id, COURSE, completed_at=None)

    def send(self, *records: Record) -> list[Record]:
        """Write records, a millisecond apart, in the partition that their key chooses."""
        sent = []
        for one in records:
            self.clock.move(1)
            partition = sum(one.key or b"") % len(self.log.topics[one.topic])
            sent += self.log.add(replace(one, timestamp=self.clock(), partition=partition))
        return sent

    async def handle(self) -> None:
        """Let every service do its work, and share what it stored with those who read it."""
        await self._progress.run()
        for (user_id, lesson_id), fact in self.progress.facts.items():
            self.recalculator.records[user_id, lesson_id] = fact.completed_at
        await self._recalculator.run()
        self.share_completions()
        await self._certificates.process.run()

    def share_completions(self) -> None:
        for key, enrollment in self.recalculator.stored.items():
            place = enrollment.user_id, enrollment.course_id, enrollment.progress.completed_at
            self.certificates.enrolled[key] = place

    async def verify(self, **options: Any) -> Findings:
        """Verify what is there now."""
        findings = Findings(**options)
        verifier = FakeVerifier()
        judges = Judges(
            ProgressJudge(self.progress, verifier, self.clock, page=2),
            RecalculatorJudge(self.recalculator, verifier, self.clock, page=2),
            CertificatesJudge(self.certificates, verifier, Links(PUBLIC_URL), self.clock, page=2),
        )
        with TemporaryDirectory() as folder:
            index = Index(Path(folder))
            try:
                sieve = Sieve(index.add_unreadable)
                for collection, document in self.torn * 2:  # what is read twice is one
                    sieve(collection, (), [document])
                await Verification(judges, self.topics, index, findings, self.clock).run()
            finally:
                index.close()
        return findings

    def stand(self, topic: str) -> list[Record]:
        """Every record of a topic."""
        return self.log.read(topic)

    def overwrite(self, old: Record, new: Record) -> None:
        """Put another record where one stands."""
        placed = replace(new, topic=old.topic, partition=old.partition, offset=old.offset)
        self.log.topics[old.topic][old.partition][old.offset] = placed

    def swallow(self, *records: Record) -> list[Record]:
        """Write records and commit beyond them, though nobody handles them."""
        sent = self.send(*records)
        for one in sent:
            partition = TopicPartition(one.topic, one.partition)
            self.log.committed[partition] = max(self.log.committed.get(partition, 0), one.offset + 1)
        return sent


def asked(user_id: str, lesson_id: str, **changed: Any) -> Record:
    """A learner's command, with a reply that nobody finds any more: replies are best effort."""
    return command(lesson_id, user_id, **changed)


def unstamped(one: Record) -> Record:
    """The same record from a broker that does not stamp."""
    assert one.timestamp_type == LOG_APPEND_TIME
    return replace(one, timestamp_type=0)


async def healthy_run() -> Run:
    """Everything that can happen to a healthy system: repeats, refusals, poison, operators, a changed course."""
    run = Run()
    await run.prepare()
    run.send(*(asked(user, lesson) for user in (ADA, ALAN) for lesson in LESSONS), asked(BEN, LESSONS[0]))
    await run.handle()
    run.send(
        asked(ADA, LESSONS[0]),
        asked(ADA, "nowhere"),
        asked(ADA, "orphan-1"),
        asked(ADA, "preview-1"),
        asked("stranger", LESSONS[0]),
        asked(ADA, LESSONS[1], authorization=b"Bearer forged"),
        asked(ADA, LESSONS[1], value=b"{"),
        record(value=None, key=None, headers=[("\\xff", None)]),
        record(PROGRESS_COMMANDS, headers=envelope("lesson.complete.v9")),
        recalculate_command(enrollment_id(BEN)),
        recalculate_command("nowhere"),
        generate(enrollment_id(ADA)),
        generate("nowhere"),
        revoke(enrollment_id(ALAN)),
        revoke("nowhere"),
    )
    await run.handle()
    run.send(course_changed(COURSE))
    await run.handle()
    assert run.clock() > NOW
    return run
