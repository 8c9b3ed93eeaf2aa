"""The first stage: a learner's command becomes one record, one event, one reply."""

from collections.abc import Mapping, Sequence

import orjson

from shared.contracts.ids import deterministic_id, progress_id
from shared.contracts.topics import LESSON_COMPLETED, PROGRESS_COMMANDS
from tests.bench.baseline.database import Database, Document
from tests.bench.baseline.envelope import Envelope, Origin
from tests.bench.baseline.process import Record
from tests.bench.baseline.publishing import Message
from tests.bench.baseline.settings import Settings

_COMPLETED = Envelope("progress", "lesson.completed.v1")
_MARKED = Envelope("progress", "lesson.marked.v1")
_REJECTED = Envelope("progress", "command.rejected.v1")


class Progress:
    """`progress.commands` to `lessonProgress`, `lesson.completed` and the replies."""

    name = "progress"
    topic = PROGRESS_COMMANDS

    def __init__(self, database: Database, settings: Settings) -> None:
        del settings
        self._db = database

    async def start(self) -> None:
        """Make the indexes of the records."""
        await self._db.unique("lessonProgress", "userId", "lessonId")
        await self._db.index("lessonProgress", "enrollmentId")

    async def stop(self) -> None:
        """Nothing was taken."""

    async def handle(self, records: Sequence[Record]) -> tuple[list[Message], list[Message]]:
        """Record a batch: who is the record's key, which lesson is in its value."""
        commands = [(r, (r.key or b"").decode(), orjson.loads(r.value or b"")["lessonId"]) for r in records]
        course_of = await self._courses({lesson for _, _, lesson in commands})
        enrolled = await self._enrollments({user for _, user, _ in commands}, set(course_of.values()))
        facts: dict[str, Document] = {}
        for record, user, lesson in commands:
            course = course_of.get(lesson, "")
            if enrollment := enrolled.get((user, course)):
                fact = progress_id(user, lesson)
                facts.setdefault(fact, _fact(fact, user, lesson, course, enrollment, record.timestamp))
        repeated = await self._record(list(facts.values()))
        by_key = {(fact["userId"], fact["lessonId"]): fact for fact in facts.values()}
        events: list[Message] = []
        replies: list[Message] = []
        for record, user, lesson in commands:
            origin = Origin(record)
            found = by_key.get((user, lesson))
            if found is None:
                _reply(replies, record, origin, _REJECTED, {"code": 404, "reason": "Not found", "lessonId": lesson})
                continue
            events.append(_completed(found, origin))
            marked = {name: found[name] for name in ("lessonId", "courseId", "enrollmentId", "completedAt")}
            already = found["_id"] in repeated
            _reply(
                replies, record, origin, _MARKED, {"progressId": found["_id"], **marked, "alreadyCompleted": already}
            )
        return events, replies

    async def _courses(self, lesson_ids: set[str]) -> dict[str, str]:
        lessons = await self._db.find("lessons", "_id", lesson_ids, ("moduleId", "isPreview"))
        modules = await self._db.find("courseModules", "_id", {d["moduleId"] for d in lessons}, ("courseId",))
        courses = await self._db.find("courses", "_id", {d["courseId"] for d in modules}, ("_id",))
        there = {d["_id"] for d in courses}
        course_of = {d["_id"]: d["courseId"] for d in modules if d["courseId"] in there}
        return {
            d["_id"]: course_of[d["moduleId"]] for d in lessons if not d.get("isPreview") and d["moduleId"] in course_of
        }

    async def _enrollments(self, user_ids: set[str], course_ids: set[str]) -> Mapping[tuple[str, str], str]:
        found = await self._db.find(
            "enrollments", "userId", user_ids, ("userId", "courseId"), courseId={"$in": list(course_ids)}
        )
        return {(d["userId"], d["courseId"]): d["_id"] for d in found}

    async def _record(self, facts: list[Document]) -> set[str]:
        """Insert the facts; one that is there already takes the place of ours. Answers the ids of those."""
        if not facts:
            return set()
        taken = {d["_id"]: d for d in await self._db.insert("lessonProgress", facts)}
        if taken:
            for stored in await self._db.find("lessonProgress", "_id", taken, ()):
                taken[stored["_id"]].update(stored)
        return set(taken)


def _fact(fact: str, user: str, lesson: str, course: str, enrollment: str, at: int) -> Document:
    return {
        "_id": fact,
        "userId": user,
        "lessonId": lesson,
        "courseId": course,
        "enrollmentId": enrollment,
        "completedAt": at,
    }


def _completed(fact: Document, origin: Origin) -> Message:
    value = {
        "progressId": fact["_id"],
        "userId": fact["userId"],
        "lessonId": fact["lessonId"],
        "courseId": fact["courseId"],
        "enrollmentId": fact["enrollmentId"],
        "completedAt": fact["completedAt"],
    }
    headers = _COMPLETED.headers(deterministic_id(_COMPLETED.type, fact["_id"]), fact["completedAt"], origin)
    return Message(LESSON_COMPLETED, fact["enrollmentId"].encode(), orjson.dumps(value), headers)


def _reply(
    replies: list[Message], record: Record, origin: Origin, envelope: Envelope, value: Mapping[str, object]
) -> None:
    if origin.reply_to is None:
        return
    reply_id = deterministic_id(envelope.type, origin.causation.decode())
    headers = envelope.headers(reply_id, record.timestamp, origin)
    headers.append(("correlation-id", origin.correlation_id))
    replies.append(Message(origin.reply_to.decode(), record.key or b"", orjson.dumps(value), headers))
