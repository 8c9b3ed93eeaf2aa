"""Any order of commands, copies, crashes, rebalances, zombies and outages: nothing is lost, nothing is doubled.

Source: reliability, "How it is proved", 2.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest import mock

from aiokafka.errors import CommitFailedError, KafkaError, KafkaTimeoutError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.errors import Transient
from shared.kafka.records import Record
from tests.support.builders import command, record
from tests.support.issuer import NOW
from tests.support.process import Process
from tests.support.world import DEAD_LETTER, RECORD, REJECTION, TOPICS_READ, World

LEARNERS = ["learner-1", "learner-2"]
LESSONS = ["lesson-1", "lesson-2"]
#: A learner who brings a bug to light.
BROKEN = "learner-broken"
#: Fewer than open the breaker.
MOST_BUGS = 10

good = st.builds(
    command,
    st.sampled_from(LESSONS),
    st.sampled_from(LEARNERS),
    timestamp=st.integers(NOW, NOW + 3),
    timestamp_type=st.sampled_from([0, 1]),
    headers=st.sampled_from([[], [("reply-to", b"progress.replies.web")], [("reply-to", b"progress.replies.nobody")]]),
)
rejected = st.builds(command, st.sampled_from(["preview-1", "orphan-1", "nowhere"])) | st.just(
    command("lesson-1", "stranger")
)
poison = st.builds(command, value=st.sampled_from([None, b"", b"{", b"\xff"])) | st.just(record(key=None, value=None))
errors = st.sampled_from([KafkaError(), KafkaTimeoutError()])


class Progress(RuleBasedStateMachine):
    """One group of at most two processes, over one log and one store."""

    @initialize(batch_size=st.sampled_from([1, 2, 1000]))
    def start(self, batch_size: int) -> None:
        self.runner = asyncio.Runner()
        self.stack = ExitStack()
        self.stack.enter_context(mock.patch("shared.kafka.consume.backoff", return_value=0.0))
        self.world = World(learners=LEARNERS)
        self.world.store.bugs[BROKEN] = ZeroDivisionError("division by zero")
        self.stack.enter_context(self.world.observed())
        self.batch_size = batch_size
        self.bugs = 0
        self.members = [self.member()]

    def member(self) -> Process:
        process: Process = self.wait(self.joined())
        return process

    async def joined(self) -> Process:
        return self.world.process(batch_size=self.batch_size)

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def write(self, written: Record, fate: str, partition: int) -> None:
        topic = "progress.replays" if partition == 2 else written.topic
        self.world.write(replace(written, topic=topic, partition=partition % 2), fate)

    # What arrives.

    @rule(written=good, partition=st.integers(0, 2), copies=st.integers(1, 3))
    def a_good_command(self, written: Record, partition: int, copies: int) -> None:
        for _ in range(copies):
            self.write(written, RECORD, partition)

    @rule(written=rejected, partition=st.integers(0, 2))
    def a_command_to_reject(self, written: Record, partition: int) -> None:
        self.write(written, REJECTION, partition)

    @rule(written=poison, partition=st.integers(0, 2))
    def poison(self, written: Record, partition: int) -> None:
        self.write(written, DEAD_LETTER, partition)

    @precondition(lambda self: self.bugs < MOST_BUGS)
    @rule(partition=st.integers(0, 2))
    def a_command_that_meets_a_bug(self, partition: int) -> None:
        self.bugs += 1
        self.write(command("lesson-1", BROKEN), DEAD_LETTER, partition)

    # What goes wrong.

    @rule(failures=st.lists(st.none() | st.just(Transient("away")), min_size=1, max_size=6))
    def the_database_stumbles(self, failures: list[Exception | None]) -> None:
        self.world.store.failures += failures

    @rule(error=errors, times=st.integers(1, 4), lost=st.booleans())
    def the_broker_stumbles(self, error: Exception, times: int, *, lost: bool) -> None:
        for member in self.members:
            left = iter(range(times))
            trouble = self.for_a_while(left, error)
            if lost:
                member.producer.lose = trouble
            else:
                member.producer.refuse = trouble

    @staticmethod
    def for_a_while(left: Any, error: Exception) -> Callable[[str, bytes | None], Exception | None]:
        return lambda _topic, _value: error if next(left, None) is not None else None

    @rule(error=st.sampled_from([KafkaError(), CommitFailedError()]))
    def a_commit_fails(self, error: Exception) -> None:
        for member in self.members:
            member.consumer.commit_failures.append(error)

    @rule(seconds=st.integers(0, 100))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.move(seconds * 1000)

    @rule(back=st.integers(1, 5))
    def offsets_go_back(self, back: int) -> None:
        committed = self.world.log.committed
        for partition, offset in committed.items():
            committed[partition] = max(0, offset - back)

    # What the processes do.

    @rule(batches=st.integers(1, 4))
    def everyone_works_a_while(self, batches: int) -> None:
        for member in self.members:
            self.wait(member.run(batches=batches))

    @rule(step=st.integers(0, 25))
    def a_process_crashes(self, step: int) -> None:
        member = self.members[-1]
        self.wait(self.world.run_until(member, len(self.world.steps.names) + step))
        self.members = [self.member()]

    @rule(step=st.integers(0, 25))
    def a_process_freezes_and_thaws_after_another_took_over(self, step: int) -> None:
        self.wait(self.overtaken(len(self.world.steps.names) + step))

    async def overtaken(self, step: int) -> None:
        main, thawed = await self.world.run_frozen(self.members[-1], step)
        self.members = [await self.joined()]
        await self.members[0].run(batches=5)
        thawed.set()
        await main

    @rule()
    def partitions_move(self) -> None:
        everything = self.world.log.partitions_of(TOPICS_READ)
        if len(self.members) == 1:
            self.members.append(self.member())
        for member in self.members:
            self.wait(member.offsets.flush(member.consumer))
            member.lose(set(member.consumer.position))
        half = {p for p in everything if (p.partition + len(self.world.log.commits)) % 2}
        for member, share in zip(self.members, (half, everything - half), strict=True):
            member.consumer.assign(share)
            member.offsets.assigned(share)

    @invariant()
    def one_fact_for_a_learner_and_lesson(self) -> None:
        if hasattr(self, "world"):
            facts = self.world.store.facts
            assert len({fact.progress_id for fact in facts.values()}) == len(facts)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.world.store.failures.clear()
            self.wait(self.member().run())
            self.world.check()
        finally:
            self.stack.close()
            self.runner.close()


TestProgress = Progress.TestCase
TestProgress.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
