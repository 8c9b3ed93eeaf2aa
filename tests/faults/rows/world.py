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
from tests.faults.rows.invariants import hold
from tests.faults.rows.lane import Lane
from tests.support.campus import CourseMade, Learner
from tests.support.eventually import eventually
from tests.support.gateway import Seen

#: What a learner completes: one lesson, by one command or by several copies of it.
Command = tuple[Learner, str]

_SETTLED_SECONDS = 120.0


class World:
    """A course, its learners, and the commands that were sent for them."""

    def __init__(self, lane: Lane, course: CourseMade, learners: Sequence[Learner], stranger: Learner) -> None:
        self._lane = lane
        self.gateway = lane.system.gateway
        self.campus = lane.system.campus
        self.course = course
        self.learners = learners
        #: Enrolled in another course: whatever it sends for this one is rejected.
        self.stranger = stranger
        #: What is to be sent, in this order.
        self.plan: list[Command] = []
        self.sent: set[tuple[str, str]] = set()
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
            self.sent.add((learner.enrollment_id, lesson))
        return await self.gateway.command(
            "lesson.complete.v1",
            {"lessonId": lesson},
            token=self._token(learner.user_id),
            key=learner.user_id,
            partition=partition,
        )

    def take(self) -> Command:
        """One command of what is planned, that is sent by hand and only once."""
        taken = next(command for command in self.plan if command[0] is not self.stranger)
        self.plan = [command for command in self.plan if command != taken]
        return taken

    def note(self, learner: Learner, lesson: str) -> None:
        """Expect what follows from a command that was sent by hand."""
        self.sent.add((learner.enrollment_id, lesson))

    def bearer(self, learner: Learner) -> bytes:
        """A learner's `authorization`."""
        return f"Bearer {self._token(learner.user_id)}".encode()

    def _token(self, user_id: str) -> str:
        if user_id not in self._tokens:
            self._tokens[user_id] = self.gateway.token(user_id)
        return self._tokens[user_id]

    # -- seeing ----------------------------------------------------------------------------------------------------

    def events(self, topic: str) -> list[Seen]:
        """What has come out on a topic about this world's learners."""
        return self.gateway.seen(topic, self.concerns)

    def concerns(self, seen: Seen) -> bool:
        """Whether a record is about one of this world's learners."""
        return seen.key in {
            key.encode() for learner in self.learners for key in (learner.user_id, learner.enrollment_id)
        }

    async def all_letters(self, service: str) -> list[Seen]:
        """The dead letters that there are by now of a service about this world, whether fetched already or not."""
        await self.gateway.caught_up(topics.dead_letters_of(service))
        return self.letters(service)

    def letters(self, service: str) -> list[Seen]:
        """The dead letters, so far, of a service about this world's learners and its stranger."""
        stranger = self.stranger.user_id.encode()
        return self.gateway.seen(topics.dead_letters_of(service), lambda s: self.concerns(s) or s.key == stranger)

    async def recorded(self, learner: Learner, lesson: str) -> bool:
        """Whether there is a record of this lesson."""
        return progress_id(learner.user_id, lesson) in {r["_id"] for r in await self.campus.records(learner)}

    async def documents(self) -> list[Any]:
        """Everything that is stored about this world's learners."""
        return [
            found
            for learner in self.learners
            for found in (
                await self.campus.records(learner),
                await self.campus.enrollment(learner),
                await self.campus.certificates(learner),
                await self.campus.notifications(learner),
            )
        ]

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
        return [learner for learner in self.learners if self.done(learner) == set(self.course.lessons)]

    def done(self, learner: Learner) -> set[str]:
        """The lessons that were sent for a learner."""
        return {lesson for enrollment, lesson in self.sent if enrollment == learner.enrollment_id}

    # -- what has to be true ---------------------------------------------------------------------------------------

    async def settled(self, *, within: float = _SETTLED_SECONDS) -> None:
        """Wait until everything sent has had its effect and is committed, then hold the world to the invariants.

        Raises:
            AssertionError: something was lost, doubled, or is wrong.
        """
        await eventually(self._is_there, within=within)
        await self._lane.drained()
        await self.gateway.caught_up()
        await eventually(self._events_are_there, within=10)
        await hold(self)

    async def _is_there(self) -> bool:
        """Whether every stored effect is there, in three questions to the database."""
        ids = [learner.enrollment_id for learner in self.learners]
        finished = self.finished()
        db = self.campus.db
        stored = {d["_id"]: d async for d in db["enrollments"].find({"_id": {"$in": ids}})}
        if any((stored[one.enrollment_id].get("completedLessons") or 0) < len(self.done(one)) for one in self.learners):
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
            len(self.copies(topics.LESSON_COMPLETED)) == len(self.sent)
            and {seen.key for seen in self.events(topics.COURSE_COMPLETED)} == finished
            and {seen.key for seen in self.events(topics.CERTIFICATE_ISSUED)} == finished
            and len(self.copies(topics.NOTIFICATION_CREATED)) == 2 * len(finished)
        )
