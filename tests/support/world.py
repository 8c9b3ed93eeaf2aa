"""Progress in a world that outlives its processes, and what must be true of it however often they stop."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from services.progress.messaging import ACCEPTS, ProgressMessages, lesson_completed
from services.progress.metrics import ProgressMetrics
from shared.contracts.topics import LESSON_COMPLETED, consumed_by, is_reply_topic
from shared.kafka.records import Record
from tests.support.builders import catalog
from tests.support.fake_log import FakeLog
from tests.support.key_set import FakeClock
from tests.support.process import Process
from tests.support.steps import Steps

DEAD_LETTERS = "progress.deadletters"
TOPICS_READ = consumed_by("progress")

RECORD, REJECTION, DEAD_LETTER = "record", "rejection", "dead letter"
#: What the outcomes in the log lines mean; every other one is a rejection.
FATES = {"recorded": RECORD, "already_recorded": RECORD, "invalid": DEAD_LETTER, "dead_letter": DEAD_LETTER}

Position = tuple[str, int, int]


def position(record: Record) -> Position:
    return record.topic, record.partition, record.offset


class World:
    """The log, the store and every command ever written; processes come and go."""

    def __init__(self, *, partitions: int = 2, **building: Any) -> None:
        self.clock = FakeClock()
        self.steps = Steps()
        self.log = FakeLog(self.clock, partitions=partitions)
        self.log.create("progress.replies.web")
        self.store = catalog(**building)
        self.store.steps = self.steps
        #: What must become of each command.
        self.expected: dict[Position, str] = {}
        self.lines: list[MutableMapping[str, Any]] = []
        self.log.before_commit = self._nothing_unfinished

    def write(self, command: Record, fate: str) -> None:
        """A gateway writes a command, of which this must become."""
        [written] = self.log.add(command)
        self.expected[position(written)] = fate

    def process(self, partitions: set[TopicPartition] | None = None, *, batch_size: int = 1000) -> Process:
        """A process that has just joined the group; whoever held these partitions is not told."""
        registry = CollectorRegistry()
        messages = ProgressMessages(self.store, ProgressMetrics(registry), self.clock)
        return Process(
            self.log,
            accepts=ACCEPTS,
            handler=messages,
            observer=messages.observe,
            clock=self.clock,
            partitions=partitions,
            steps=self.steps,
            batch_size=batch_size,
            registry=registry,
        )

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Keep every line that is logged inside."""
        with capture_logs() as lines:
            self.lines = lines
            yield

    async def run_until(self, process: Process, step: int) -> bool:
        """Run a process and stop it for good at this step; whether it came so far."""
        main = asyncio.ensure_future(process.run())

        async def stop() -> None:
            main.cancel()
            await asyncio.Event().wait()

        self.steps.at, self.steps.stop = step, stop
        await asyncio.wait({main})
        self.steps.at = None
        process.crash()
        if not main.cancelled():
            main.result()
        return main.cancelled()

    async def run_frozen(self, process: Process, step: int) -> tuple[asyncio.Future[None], asyncio.Event]:
        """Run a process until it freezes at this step; it goes on when the event is set."""
        main = asyncio.ensure_future(process.run())
        frozen, thawed = asyncio.Event(), asyncio.Event()

        async def stop() -> None:
            frozen.set()
            await thawed.wait()

        self.steps.at, self.steps.stop = step, stop
        waiting = asyncio.ensure_future(frozen.wait())
        await asyncio.wait({main, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        self.steps.at = None
        return main, thawed

    # What must be true at every commit, and at the end.

    def fates(self) -> dict[Position, set[str]]:
        """What became of each command, by the line that every handled record leaves."""
        found: defaultdict[Position, set[str]] = defaultdict(set)
        for line in self.lines:
            if "outcome" in line:
                found[line["topic"], line["partition"], line["offset"]].add(FATES.get(line["outcome"], REJECTION))
        return dict(found)

    def _nothing_unfinished(self, offsets: Mapping[TopicPartition, int]) -> None:
        settled = self.fates()
        for partition, end in offsets.items():
            for offset in range(end):
                assert (partition.topic, partition.partition, offset) in settled, "committed beyond the finished prefix"

    def check(self) -> None:
        """Nothing lost, nothing doubled.

        Raises:
            AssertionError: something is.
        """
        assert self.log.behind(TOPICS_READ) == {}, "something is left to do"
        assert self.fates() == {place: {fate} for place, fate in self.expected.items()}
        self._check_facts()
        self._check_events()
        self._check_dead_letters()
        self._check_replies()

    def _check_facts(self) -> None:
        recorded = {place for place, fate in self.expected.items() if fate == RECORD}
        commands = [record for topic in TOPICS_READ for record in self.log.read(topic) if position(record) in recorded]
        assert len(self.store.facts) == len({(r.key, r.value) for r in commands})
        assert len({fact.progress_id for fact in self.store.facts.values()}) == len(self.store.facts)

    def _check_events(self) -> None:
        events = self.log.read(LESSON_COMPLETED)
        sameness = ("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type")
        copies = {(e.key, e.value, *(dict(e.headers)[name] for name in sameness)) for e in events}
        ids = Counter(copy[3] for copy in copies)
        assert set(ids.values()) <= {1}, "one event id stands for two values"
        facts = [lesson_completed(fact) for fact in self.store.facts.values()]
        assert {(e.key, e.value) for e in events} == {(f.key.encode(), f.message.to_json()) for f in facts}
        assert set(ids) == {f.id.encode() for f in facts}

    def _check_dead_letters(self) -> None:
        buried: set[Position] = set()
        for letter in self.log.read(DEAD_LETTERS):
            said = {name: value.decode() for name, value in letter.headers if name.startswith("x-dead-letter-")}
            topic = said["x-dead-letter-topic"]
            place = topic, int(said["x-dead-letter-partition"]), int(said["x-dead-letter-offset"])
            original = self.log.topics[place[0]][place[1]][place[2]]
            assert (letter.key, letter.value) == (original.key, original.value)
            assert letter.headers[: len(original.headers)] == original.headers
            buried.add(place)
        assert buried == {place for place, fate in self.expected.items() if fate == DEAD_LETTER}

    def _check_replies(self) -> None:
        for topic in self.log.topics:
            answers: defaultdict[bytes, set[bytes | None]] = defaultdict(set)
            for reply in self.log.read(topic) if is_reply_topic(topic) else ():
                said = dict(reply.headers)
                flag = (reply.value or b"").replace(b'"alreadyCompleted":true', b'"alreadyCompleted":false')
                answers[said["ce_id"]].add(flag)
            assert all(len(values) == 1 for values in answers.values()), "one command was answered in two ways"
