"""The second stage: a completed lesson becomes the right percentage, from the stored facts."""

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter

import orjson
from pymongo import UpdateOne

from shared.contracts.ids import deterministic_id
from shared.contracts.topics import COURSE_COMPLETED, ENROLLMENT_PROGRESSED, LESSON_COMPLETED
from tests.bench.baseline.database import Database, Document
from tests.bench.baseline.envelope import Envelope, Origin
from tests.bench.baseline.process import Record
from tests.bench.baseline.publishing import Message
from tests.bench.baseline.settings import Settings

_PROGRESSED = Envelope("recalculator", "enrollment.progressed.v1")
_COMPLETED = Envelope("recalculator", "course.completed.v1")
_STATE = (
    "userId",
    "courseId",
    "enrolledAt",
    "progressedAt",
    "progressPercent",
    "completedLessons",
    "totalLessons",
    "completedAt",
    "revision",
)


class Recalculator:
    """`lesson.completed` to `enrollments`, `enrollment.progressed` and `course.completed`."""

    name = "recalculator"
    topic = LESSON_COMPLETED

    def __init__(self, database: Database, settings: Settings) -> None:
        del settings
        self._db = database

    async def start(self) -> None:
        """Make the indexes of enrollments."""
        await self._db.unique("enrollments", "userId", "courseId")
        await self._db.index("enrollments", "courseId", "_id")

    async def stop(self) -> None:
        """Nothing was taken."""

    async def handle(self, records: Sequence[Record]) -> tuple[list[Message], list[Message]]:
        """Recalculate the enrollments of a batch, each once."""
        origins = {orjson.loads(r.value or b"")["enrollmentId"]: r for r in records}
        while True:
            states = await self._db.find("enrollments", "_id", origins, _STATE)
            updates = await self._updates(states)
            if not updates or await self._db.update("enrollments", updates) == len(updates):
                break
        events: list[Message] = []
        for state in states:
            _publish(events, state, Origin(origins[state["_id"]]))
        return events, []

    async def _updates(self, states: list[Document]) -> list[UpdateOne]:
        """Bring the states to what the facts say; answers the conditional updates of those that changed."""
        lessons = await self._lessons({state["courseId"] for state in states})
        users = {state["userId"] for state in states}
        facts: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        for fact in await self._db.find("lessonProgress", "userId", users, ("userId", "lessonId", "completedAt")):
            facts[fact["userId"]].append((fact["lessonId"], fact["completedAt"]))
        updates: list[UpdateOne] = []
        for state in states:
            counted = lessons[state["courseId"]]
            done = [fact for fact in facts[state["userId"]] if fact[0] in counted]
            latest = max(done, key=itemgetter(1))[1] if done else 0
            if update := _advance(state, len(done), len(counted), latest):
                updates.append(update)
        return updates

    async def _lessons(self, course_ids: set[str]) -> dict[str, set[str]]:
        modules = await self._db.find("courseModules", "courseId", course_ids, ("courseId",))
        course_of = {d["_id"]: d["courseId"] for d in modules}
        lessons: defaultdict[str, set[str]] = defaultdict(set)
        for d in await self._db.find("lessons", "moduleId", course_of, ("moduleId", "isPreview")):
            if not d.get("isPreview"):
                lessons[course_of[d["moduleId"]]].add(d["_id"])
        return lessons


def _advance(state: Document, completed: int, total: int, latest: int) -> UpdateOne | None:
    """Change `state` to what was counted; answers its update, for the revision that was read."""
    before = state.get("revision") or 0
    counted = {
        "progressPercent": completed / total * 100 if total else 0.0,
        "completedLessons": completed,
        "totalLessons": total,
    }
    as_read: Document = {"_id": state["_id"], "revision": before or {"$in": [None, 0]}}
    if state.get("completedAt") is None and completed == total > 0:
        as_read["completedAt"] = None
        counted["completedAt"] = latest
    if all(state.get(name) == value for name, value in counted.items()):
        return None
    counted["progressedAt"] = max(state.get("progressedAt") or state.get("enrolledAt") or 0, latest)
    counted["revision"] = before + 1
    state.update(counted)
    return UpdateOne(as_read, {"$set": counted})


def _publish(events: list[Message], state: Document, origin: Origin) -> None:
    enrollment, completed_at = state["_id"], state.get("completedAt")
    key = enrollment.encode()
    progressed = {
        "enrollmentId": enrollment,
        "userId": state["userId"],
        "courseId": state["courseId"],
        "completed": state["completedLessons"],
        "total": state["totalLessons"],
        "progressPercent": state["progressPercent"],
        "completedAt": completed_at,
        "revision": state["revision"],
    }
    event_id = deterministic_id(_PROGRESSED.type, enrollment, state["revision"])
    headers = _PROGRESSED.headers(event_id, state["progressedAt"], origin)
    events.append(Message(ENROLLMENT_PROGRESSED, key, orjson.dumps(progressed), headers))
    if completed_at is not None:
        value = {name: progressed[name] for name in ("enrollmentId", "userId", "courseId", "completedAt")}
        headers = _COMPLETED.headers(deterministic_id(_COMPLETED.type, enrollment), completed_at, origin)
        events.append(Message(COURSE_COMPLETED, key, orjson.dumps(value), headers))
