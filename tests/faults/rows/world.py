"""A small world of one run: a course, its learners, what they complete; and what has to be true of it in the end.

The expectation comes from what was sent alone: which lessons, by whom, how often. Every row asserts the same
invariants on it, whatever the fault was: nothing lost, nothing doubled.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Self

from shared.contracts import topics
from shared.contracts.ids import progress_id
from tests.faults.rows.lane import Lane
from tests.support.campus import CourseMade, Learner
from tests.support.eventually import eventually
from tests.support.gateway import Seen

#: What a learner completes: one lesson, by one command or by several copies of it.
Command = tuple[Learner, str]

_EVENTS = (
    topics.LESSON_COMPLETED,
    topics.ENROLLMENT_PROGRESSED,
    topics.COURSE_COMPLETED,
    topics.CERTIFICATE_ISSUED,
    topics.NOTIFICATION_CREATED,
)
_SETTLED_SECONDS = 120.0


class World:
    """A course, its learners, and the commands that were sent for them."""

    def __init__(self, lane: Lane, course: CourseMade, learners: Sequence[Learner], stranger: Learner) -> None:
        self._lane = lane
        self._gateway = lane.system.gateway
        self._campus = lane.system.campus
        self.course = course
        self.learners = learners
        #: Enrolled in another course: whatever it sends for this one is rejected.
        self.stranger = stranger
        #: What is to be sent, in this order.
        self.plan: list[Command] = []
        self._sent: set[tuple[str, str]] = set()
        self._tokens: dict[str, str] = {}
        #: How many dead letters belong to this world.
        self.dead_letters = 0

    @classmethod
    async def make(
        cls,
        lane: Lane,
        chance: random.Random,
        *,
        learners: int = 0,
        lessons: int = 0,
        finishers: int = 0,
        doubled: float = 0.25,
    ) -> Self:
        """A course and learners, as many as are asked for or as chance has it (3-6 learners, 2-5 lessons).

        So many `finishers` (at least one) complete every lesson, the others fewer; this share of the commands is
        `doubled`, the order is shuffled, and one command is of somebody who is not enrolled.
        """
        campus = lane.system.campus
        course = await campus.course(lessons or chance.randint(2, 5), preview=chance.randint(0, 1))
        elsewhere = await campus.course(1)
        people = [await campus.learner(course) for _ in range(learners or chance.randint(3, 6))]
        world = cls(lane, course, people, await campus.learner(elsewhere))
        complete = finishers or chance.randint(1, len(people))
        for place, learner in enumerate(people):
            count = len(course.lessons) if place < complete else chance.randint(1, len(course.lessons) - 1)
            world.plan += [(learner, lesson) for lesson in chance.sample(course.lessons, count)]
        world.plan += chance.sample(world.plan, int(len(world.plan) * doubled))
        world.plan.append((world.stranger, course.lessons[0]))
        chance.shuffle(world.plan)
        return world

    # -- sending ---------------------------------------------------------------------------------------------------

    async def send(self, commands: Iterable[Command] | None = None, *, partition: int | None = None) -> list[str]:
        """Send commands (all that is planned and not yet sent) at once; answers their correlation ids."""
        if commands is None:
            commands, self.plan = self.plan, []
        return list(await asyncio.gather(*(self._send(*command, partition) for command in commands)))

    async def send_some(self, count: int) -> list[str]:
        """Send the first of what is planned."""
        now, self.plan = self.plan[:count], self.plan[count:]
        return await self.send(now)

    async def _send(self, learner: Learner, lesson: str, partition: int | None) -> str:
        if learner is not self.stranger:
            self._sent.add((learner.enrollment_id, lesson))
        return await self._gateway.command(
            "lesson.complete.v1",
            {"lessonId": lesson},
            token=self._token(learner.user_id),
            key=learner.user_id,
            partition=partition,
        )

    def _token(self, user_id: str) -> str:
        if user_id not in self._tokens:
            self._tokens[user_id] = self._gateway.token(user_id)
        return self._tokens[user_id]

    # -- seeing ----------------------------------------------------------------------------------------------------

    def events(self, topic: str) -> list[Seen]:
        """What has come out on a topic about this world's learners."""
        enrollments = {learner.enrollment_id.encode() for learner in self.learners}
        users = {learner.user_id.encode() for learner in self.learners}
        return self._gateway.seen(topic, lambda seen: seen.key in enrollments | users)

    def copies(self, topic: str) -> dict[bytes, list[Seen]]:
        """The events of a topic about this world's learners, by their ids."""
        by_id: defaultdict[bytes, list[Seen]] = defaultdict(list)
        for seen in self.events(topic):
            by_id[seen.headers["ce_id"] or b""].append(seen)
        return by_id

    def repeated(self, topic: str) -> int:
        """How many events of a topic came out more than once."""
        return sum(len(copies) > 1 for copies in self.copies(topic).values())

    def finished(self) -> list[Learner]:
        """The learners who have completed everything, by what was sent."""
        return [learner for learner in self.learners if self._done(learner) == set(self.course.lessons)]

    def _done(self, learner: Learner) -> set[str]:
        return {lesson for enrollment, lesson in self._sent if enrollment == learner.enrollment_id}

    # -- what has to be true ---------------------------------------------------------------------------------------

    async def settled(self, *, within: float = _SETTLED_SECONDS) -> None:
        """Wait until everything sent has had its effect and is committed, then hold the world to the invariants.

        Raises:
            AssertionError: something was lost, doubled, or is wrong.
        """
        await eventually(self._is_there, within=within)
        await self._lane.drained()
        await eventually(self._events_are_there, within=10)
        await self._recorded_once()
        await self._certified_once()
        self._same_events()
        self._no_dead_letters()

    async def _is_there(self) -> bool:
        """Whether every stored effect is there, in three questions to the database."""
        ids = [learner.enrollment_id for learner in self.learners]
        finished = self.finished()
        db = self._campus.db
        stored = {d["_id"]: d async for d in db["enrollments"].find({"_id": {"$in": ids}})}
        if any(
            (stored[one.enrollment_id].get("completedLessons") or 0) < len(self._done(one)) for one in self.learners
        ):
            return False
        issued = {"enrollmentId": {"$in": [one.enrollment_id for one in finished]}, "status": "issued"}
        told = {"userId": {"$in": [one.user_id for one in finished]}}
        certificates: int = await db["certificates"].count_documents(issued)
        notifications: int = await db["notifications"].count_documents(told)
        return certificates >= len(finished) and notifications >= 2 * len(finished)

    def _events_are_there(self) -> bool:
        """Whether the gateway has seen what was published before the commits."""
        finished = {learner.enrollment_id.encode() for learner in self.finished()}
        return (
            len(self.copies(topics.LESSON_COMPLETED)) == len(self._sent)
            and {seen.key for seen in self.events(topics.COURSE_COMPLETED)} == finished
            and {seen.key for seen in self.events(topics.CERTIFICATE_ISSUED)} == finished
            and len(self.copies(topics.NOTIFICATION_CREATED)) == 2 * len(finished)
        )

    async def _recorded_once(self) -> None:
        total = len(self.course.lessons)
        for learner in self.learners:
            done = self._done(learner)
            expected = {progress_id(learner.user_id, lesson) for lesson in done}
            stored = [record["_id"] for record in await self._campus.records(learner)]
            assert sorted(stored) == sorted(expected), f"records of {learner.user_id}: {stored}, expected {expected}"
            state = await self._campus.enrollment(learner)
            figures = (state.get("completedLessons") or 0, state.get("progressPercent") or 0)
            assert figures == (len(done), len(done) / total * 100), f"{learner.enrollment_id}: {state}"
            assert bool(state.get("completedAt")) == (len(done) == total), f"{learner.enrollment_id}: {state}"
        assert not await self._campus.records(self.stranger), "a command of somebody not enrolled was recorded"

    async def _certified_once(self) -> None:
        finished = self.finished()
        for learner in self.learners:
            certificates = await self._campus.certificates(learner)
            kinds = sorted(n["kind"] for n in await self._campus.notifications(learner))
            once = learner in finished
            assert [c["status"] for c in certificates] == ["issued"] * once, f"{learner.enrollment_id}: {certificates}"
            assert kinds == ["certificate_ready", "course_completed"] * once, f"{learner.enrollment_id}: {kinds}"
            if once:
                files = await self._campus.db["fs.files"].count_documents({"_id": certificates[0]["fileId"]})
                assert files == 1, f"{files} files of the certificate of {learner.enrollment_id}"

    def _same_events(self) -> None:
        """One fact, one id, the same bytes, however often it came out; as many facts as there are."""
        for topic in _EVENTS:
            for identity, copies in self.copies(topic).items():
                shapes = {(s.raw, s.headers["ce_type"], s.headers["ce_source"], s.headers["ce_time"]) for s in copies}
                assert len(shapes) == 1, f"event {identity!r} on {topic} has {len(shapes)} shapes: {shapes}"
        finished, lessons = len(self.finished()), len(self._sent)
        facts = {
            topics.LESSON_COMPLETED: lessons,
            topics.COURSE_COMPLETED: finished,
            topics.CERTIFICATE_ISSUED: finished,
            topics.NOTIFICATION_CREATED: 2 * finished,
        }
        found = {topic: len(self.copies(topic)) for topic in facts}
        assert found == facts, f"distinct events: {found}, expected {facts}"
        self._last_states()

    def _last_states(self) -> None:
        states: defaultdict[bytes, dict[int, Any]] = defaultdict(dict)
        for seen in self.events(topics.ENROLLMENT_PROGRESSED):
            states[seen.key or b""][seen.data["revision"]] = seen.data
        for learner in self.learners:
            if done := self._done(learner):
                of_learner = states[learner.enrollment_id.encode()]
                last = of_learner[max(of_learner)]
                assert last["completed"] == len(done), f"the last state of {learner.enrollment_id} is {last}"

    def _no_dead_letters(self) -> None:
        users = {learner.user_id.encode() for learner in (*self.learners, self.stranger)}
        enrollments = {learner.enrollment_id.encode() for learner in self.learners}
        letters = [
            letter
            for service in topics.SERVICES
            for letter in self._gateway.seen(topics.dead_letters_of(service), lambda s: s.key in users | enrollments)
        ]
        errors = [letter.headers.get("x-dead-letter-error") for letter in letters]
        assert len(letters) == self.dead_letters, f"dead letters: {errors}, expected {self.dead_letters}"
