"""Anything, in any order, to all three services over one log and one database: a machine that hypothesis drives.

The model is that of the living world: which completions were accepted, which lessons each course had, what operators
asked for. After whatever happened, once the outside answers again and somebody lives in each group, the promise holds.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, ClassVar

from aiokafka.errors import CommitFailedError, KafkaError, KafkaTimeoutError
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from shared.contracts.topics import (
    CERTIFICATE_COMMANDS,
    COURSE_COMPLETED,
    LESSON_COMPLETED,
    RECALCULATION_COMMANDS,
    SERVICES,
)
from shared.kafka.records import Record
from tests.support.builders import last_header, record
from tests.support.documents import AWAY
from tests.support.lives import checkpoints, product_modules
from tests.support.living_arrivals import DEAD_LETTER, REJECTION, position
from tests.support.living_platform import COURSE
from tests.support.living_world import LivingWorld
from tests.support.replicas import Replica
from tests.support.scripted_mail_server import MAIL_SERVER_AWAY
from tests.support.scripted_renderer import DEADLY, UNSHOWN
from tests.support.virtual_time import VirtualTimeLoop

LEARNERS = ("ada", "bob", "cleo")
LESSONS = ("lesson-1", "lesson-2")
#: The lessons a course may be given, beside what it has now.
CATALOGS = (("lesson-1",), ("lesson-1", "lesson-2"), ("lesson-1", "lesson-2", "lesson-3"), ())
#: Fewer bugs than open the breaker.
_MOST_BUGS = 8
_MOST_REPLICAS = 2
#: How long nobody misses a process that has stopped.
_MISSED_SECONDS = 0.3
ERROR = "x-dead-letter-error"

services = st.sampled_from(SERVICES)
partitions = st.integers(0, 1)
moments = st.sampled_from([0.0, 0.02, 0.1, 0.3, 1.0, 5.0])
errors = st.sampled_from([KafkaError(), KafkaTimeoutError()])


class Services(RuleBasedStateMachine):
    """One world, at most two processes of each service at a time, and those that froze."""

    #: Steps of every machine of this process.
    taken: ClassVar[int] = 0

    @initialize(batch_size=st.sampled_from([1, 3, 1000]), page=st.sampled_from([1, 2, 50]))
    def start(self, batch_size: int, page: int) -> None:
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.watched = checkpoints(product_modules())
        self.watched.__enter__()
        self.world: LivingWorld = self.wait(self.begun(batch_size, page))
        self.frozen: list[Replica] = []
        self.keepers: list[asyncio.Task[None]] = []
        self.bugs = 0

    async def begun(self, batch_size: int, page: int) -> LivingWorld:
        world = LivingWorld(learners=LEARNERS, batch_size=batch_size, page=page)
        await world.__aenter__()
        for service in SERVICES:
            world.start(service)
        return world

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def do(self, what: Callable[[], object]) -> None:
        """Do this inside the running loop, and let a moment pass."""

        async def done() -> None:
            Services.taken += 1
            what()
            await asyncio.sleep(0)

        self.wait(done())

    # What arrives.

    @rule(
        user=st.sampled_from(LEARNERS),
        lesson=st.sampled_from(LESSONS),
        partition=partitions,
        copies=st.integers(1, 3),
        reply_to=st.sampled_from(["progress.replies.web", "progress.replies.nobody"]),
    )
    def a_lesson_is_completed(self, user: str, lesson: str, partition: int, copies: int, reply_to: str) -> None:
        def completed() -> None:
            for _ in range(copies):
                self.world.complete(user, lesson, partition=partition, reply_to=reply_to)

        if lesson in self.world.platform.catalogs[COURSE][-1]:
            self.do(completed)

    @rule(partition=partitions)
    def another_course_is_completed(self, partition: int) -> None:
        self.do(lambda: self.world.complete("ada", "lesson-9", partition=partition))

    @rule(
        of=st.sampled_from(
            [("preview-1", "ada"), ("orphan-1", "ada"), ("nowhere", "ada"), ("lesson-1", "stranger")],
        ),
        partition=partitions,
    )
    def a_command_is_to_be_rejected(self, of: tuple[str, str], partition: int) -> None:
        self.do(lambda: self.world.command(REJECTION, *of, partition=partition))

    @rule(value=st.sampled_from([None, b"", b"{", b"\xff", b'{"lessonId":7}']), partition=partitions)
    def a_command_cannot_be_read(self, value: bytes | None, partition: int) -> None:
        self.do(lambda: self.world.command(DEAD_LETTER, value=value, partition=partition))

    @rule(partition=partitions)
    def a_record_has_strange_headers(self, partition: int) -> None:
        strange = record(headers=[("weird", None), ("ce_id", b"\xff")], value=None, key=None, partition=partition)
        self.do(lambda: self.world.write(strange, DEAD_LETTER))

    @rule(
        where=st.sampled_from(
            [
                ("recalculator", LESSON_COMPLETED),
                ("recalculator", RECALCULATION_COMMANDS),
                ("certificates", COURSE_COMPLETED),
                ("certificates", CERTIFICATE_COMMANDS),
            ]
        ),
        partition=partitions,
    )
    def an_event_cannot_be_read(self, where: tuple[str, str], partition: int) -> None:
        service, topic = where
        self.do(lambda: self.world.foreign(service, topic, b"\xff", partition=partition))

    @precondition(lambda self: self.bugs < _MOST_BUGS)
    @rule(partition=partitions)
    def a_command_meets_a_bug(self, partition: int) -> None:
        self.bugs += 1
        self.do(lambda: self.world.meet_a_bug(partition=partition))

    @rule(topic=st.sampled_from([LESSON_COMPLETED, COURSE_COMPLETED]), number=st.integers(0, 20), partition=partitions)
    def an_event_comes_again(self, topic: str, number: int, partition: int) -> None:
        events = [e for e in self.world.log.read(topic) if self.is_ours(e)]
        if events:
            copy = replace(events[number % len(events)], partition=partition)
            self.do(lambda: self.world.log.add(copy))

    def is_ours(self, event: Record) -> bool:
        return all(position(event) not in places for places in self.world.letters.values())

    @rule(number=st.integers(0, 20), times=st.integers(1, 2))
    def a_dead_letter_is_replayed(self, number: int, times: int) -> None:
        letters = [r for r in self.world.log.read("progress.deadletters") if last_header(r, ERROR) != "ValueError"]
        if letters:
            letter = letters[number % len(letters)]
            again = replace(letter, topic="progress.replays", partition=0)
            self.do(lambda: [self.world.write(again, DEAD_LETTER) for _ in range(times)])

    # What operators and the platform do.

    @rule(lessons=st.sampled_from(CATALOGS))
    def a_course_changes(self, lessons: tuple[str, ...]) -> None:
        self.do(lambda: self.world.change_course(COURSE, *lessons))

    @rule(user=st.sampled_from((*LEARNERS, "nobody")))
    def an_operator_asks_for_a_recalculation(self, user: str) -> None:
        self.do(lambda: self.world.recalculate(f"{user}@{COURSE}"))

    @rule(user=st.sampled_from((*LEARNERS, "nobody")), partition=partitions)
    def a_certificate_is_asked_for_again(self, user: str, partition: int) -> None:
        self.do(lambda: self.world.generate(f"{user}@{COURSE}", partition=partition))

    @rule(user=st.sampled_from(LEARNERS), partition=partitions)
    def a_certificate_is_withdrawn(self, user: str, partition: int) -> None:
        key = f"{user}@{COURSE}"
        certified = {d["enrollmentId"] for d in self.world.db["certificates"].documents.values()}
        if key in certified:
            self.do(lambda: self.world.revoke(key, partition=partition))

    @rule(user=st.sampled_from(LEARNERS), kind=st.sampled_from(["", UNSHOWN, DEADLY, "King"]))
    def a_learner_is_renamed(self, user: str, kind: str) -> None:
        self.do(lambda: self.world.platform.learner(user, f"{user.title()} {kind}".strip()))

    # What goes wrong outside.

    @rule(failures=st.lists(st.none() | st.just(AWAY), min_size=1, max_size=8))
    def the_database_stumbles(self, failures: list[Exception | None]) -> None:
        self.world.db.failures += failures

    @rule(answers=st.integers(1, 3))
    def answers_of_the_database_are_lost(self, answers: int) -> None:
        self.world.db.lost_answers += answers

    @rule(seconds=moments)
    def the_database_is_away_for_a_while(self, seconds: float) -> None:
        async def away() -> None:
            Services.taken += 1
            self.world.db.away = True
            await asyncio.sleep(seconds)
            self.world.db.away = False

        self.wait(away())

    @rule(error=errors, times=st.integers(1, 4), lost=st.booleans())
    def the_broker_stumbles(self, error: Exception, times: int, *, lost: bool) -> None:
        left = iter(range(times))
        trouble: Callable[[str, bytes | None], Exception | None] = lambda _topic, _value: (  # noqa: E731 - one of two places takes it
            error if next(left, None) is not None else None
        )
        if lost:
            self.world.outside.lose = trouble
        else:
            self.world.outside.refuse = trouble

    @rule(service=services, error=errors | st.just(CommitFailedError()))
    def a_commit_fails(self, service: str, error: Exception) -> None:
        self.world.outside.commit_failures[service].append(error)

    @rule(times=st.integers(1, 2))
    def the_mail_server_breaks_off(self, times: int) -> None:
        self.world.outside.mail_failures += [MAIL_SERVER_AWAY] * times

    @rule(seconds=st.integers(-4000, 4000))
    def the_clock_jumps(self, seconds: int) -> None:
        self.world.clock.ahead += seconds * 1000

    @rule(back=st.integers(1, 9))
    def offsets_go_back(self, back: int) -> None:
        self.do(lambda: self.world.rewind(back))

    # What the processes do.

    @rule(seconds=moments)
    def time_passes(self, seconds: float) -> None:
        async def passed() -> None:
            Services.taken += 1
            await asyncio.sleep(seconds)

        self.wait(passed())

    def living(self, service: str) -> list[Replica]:
        return [r for r in self.world.replicas if r.service.name == service and not r.life.halted and not r.task.done()]

    @rule(service=services, points=st.integers(0, 150), frozen=st.booleans())
    def a_process_stops(self, service: str, points: int, *, frozen: bool) -> None:
        living = self.living(service)
        if living and living[0].life.at is None:
            self.do(lambda: self.let_stop(living[0], points, frozen=frozen))

    def let_stop(self, replica: Replica, points: int, *, frozen: bool) -> None:
        replica.life.stopped.clear()  # it may have stopped before, and gone on
        replica.life.at = len(replica.life.reached) + points
        self.keepers.append(asyncio.create_task(self.succeeded(replica, frozen=frozen)))

    async def succeeded(self, replica: Replica, *, frozen: bool) -> None:
        """In the midst of whatever happens next it stops; after a while it is missed, and another one takes over."""
        await replica.life.stopped.wait()
        replica.life.at = None
        await asyncio.sleep(_MISSED_SECONDS)
        self.world.expel(replica)
        self.world.start(replica.service.name)
        if frozen:
            self.frozen.append(replica)

    @rule()
    def whoever_froze_goes_on(self) -> None:
        self.do(self.thaw)

    def thaw(self) -> None:
        while self.frozen:
            self.frozen.pop().life.thaw()

    @rule(service=services)
    def a_replica_joins(self, service: str) -> None:
        if len(self.living(service)) < _MOST_REPLICAS:
            self.do(lambda: self.world.start(service))

    @rule(service=services)
    def a_replica_ends(self, service: str) -> None:
        living = [replica for replica in self.living(service) if replica.life.at is None]
        if len(living) > 1:
            self.wait(self.ended(living[0]))

    async def ended(self, replica: Replica) -> None:
        Services.taken += 1
        await self.world.stop(replica)

    # What must be true.

    async def finished(self) -> None:
        """The outside answers again, everyone who froze goes on, and nothing is left to do."""
        world = self.world
        world.db.failures.clear()
        world.db.lost_answers = 0
        # Later than any clock has shown: what was put off by one that was wrong is due.
        world.clock.ahead = 400_000_000
        world.outside.mail_failures.clear()
        for failures in world.outside.commit_failures.values():
            failures.clear()
        for replica in world.replicas:
            replica.life.at = None
        await asyncio.sleep(2 * _MISSED_SECONDS)
        self.thaw()
        await asyncio.sleep(1.0)
        for user_id in LEARNERS:
            # Whoever had a name that no page shows has another one now, and gets a certificate.
            world.platform.learner(user_id, user_id.title())
        await world.quiet()
        failed = {d["enrollmentId"] for d in world.db["certificates"].documents.values() if d["status"] == "failed"}
        for key in failed:
            world.generate(key)
        await world.quiet()
        world.check()

    async def cleared(self) -> None:
        await self.world.__aexit__(None, None, None)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.wait(self.finished())
        finally:
            self.wait(self.cleared())
            self.watched.__exit__(None, None, None)
            self.runner.close()
