"""The Mongo side of progress' ports: documents to domain and back, one fact a learner and lesson."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pymongo import ASCENDING, IndexModel

from services.progress.domain import (
    Completion,
    CourseProgress,
    Enrollment,
    Lesson,
    Module,
    PlacedLesson,
    Recorded,
    counted_lessons,
)
from services.progress.ports import ForeignRecord, LearnerInCourse
from shared.errors import Transient
from shared.mongo.batches import Batches, Sift
from shared.mongo.client import Database, translated
from shared.mongo.gathering import Gathered
from shared.settings import MongoSettings

_RECORDS = "lessonProgress"
#: Lesson ids one query may name; with more it asks for all records of its learners.
_LESSONS_NAMED = 1_000


class MongoProgressStore:
    """`lessonProgress` is written here alone; catalog and enrollments are read."""

    def __init__(self, db: Database, settings: MongoSettings, sift: Sift | None = None) -> None:
        self._batches = Batches(db, settings, sift)
        self._records = db[_RECORDS]
        self._progress = Gathered(self._read_progress)

    async def prepare(self) -> None:
        """Make the indexes of the collection this service owns."""
        with translated():
            await self._records.create_indexes(
                [
                    IndexModel([("userId", ASCENDING), ("lessonId", ASCENDING)], unique=True),
                    IndexModel([("enrollmentId", ASCENDING)]),
                ]
            )

    async def lessons(self, lesson_ids: Collection[str]) -> Mapping[str, Lesson]:
        """The lessons that exist, previews included, by id."""
        lessons = await self._batches.find("lessons", "_id", lesson_ids, ("moduleId", "isPreview"))
        modules = await self._batches.find("courseModules", "_id", {d.get("moduleId") for d in lessons}, ("courseId",))
        courses = await self._batches.find("courses", "_id", {d.get("courseId") for d in modules}, ("_id",))
        existing = {course["_id"] for course in courses}
        course_of = {m["_id"]: m["courseId"] for m in modules if m.get("courseId") in existing}
        return {
            d["_id"]: Lesson(d["_id"], course_of.get(d.get("moduleId")), bool(d.get("isPreview", False)))
            for d in lessons
        }

    async def enrollments(self, learners: Collection[LearnerInCourse]) -> Mapping[LearnerInCourse, Enrollment]:
        """The enrollments that exist; what the two lists find beside them is passed over."""
        found = await self._batches.find(
            "enrollments",
            "userId",
            {learner.user_id for learner in learners},
            ("userId", "courseId", "enrolledAt"),
            where={"courseId": {"$in": list({learner.course_id for learner in learners})}},
        )
        return {
            LearnerInCourse(d["userId"], d["courseId"]): Enrollment(d["_id"], int(d.get("enrolledAt") or 0))
            for d in found
        }

    async def record(self, completions: Sequence[Completion]) -> Mapping[str, Recorded]:
        """Store each completion once; one unordered insert, and one read of those that were there before."""
        refused = await self._batches.insert(_RECORDS, [_document(c) for c in completions])
        stored = await self._batches.find(_RECORDS, "_id", [document["_id"] for document in refused])
        if len(stored) != len(refused):
            await self._refuse_foreign(refused)
            raise Transient("a record that exists cannot be read yet")
        recorded = {c.progress_id: Recorded(c, already=False) for c in completions}
        recorded.update((d["_id"], Recorded(_completion(d), already=True)) for d in stored)
        return recorded

    async def _refuse_foreign(self, refused: Sequence[Mapping[str, Any]]) -> None:
        """Say so where another id holds a place: waiting for it to be readable would hold the partition for ever."""
        lessons = {"lessonId": {"$in": [document["lessonId"] for document in refused]}}
        users = {document["userId"] for document in refused}
        held = await self._batches.find(_RECORDS, "userId", users, ("userId", "lessonId"), where=lessons)
        ours = {(document["userId"], document["lessonId"]): document["_id"] for document in refused}
        if any(ours.get((d["userId"], d["lessonId"]), d["_id"]) != d["_id"] for d in held):
            raise ForeignRecord

    async def recorded(self, progress_ids: Collection[str]) -> Mapping[str, Completion]:
        """Those of these records that exist, by id."""
        return {d["_id"]: _completion(d) for d in await self._batches.find(_RECORDS, "_id", progress_ids)}

    async def recorded_after(self, progress_id: str | None, limit: int) -> Sequence[Completion]:
        """The next records in the order of their ids; fewer than `limit` are the last."""
        return [_completion(d) for d in await self._batches.page(_RECORDS, progress_id, limit)]

    async def record_count(self) -> int:
        """About how many records there are."""
        with translated():
            return int(await self._records.estimated_document_count())

    async def course_progress(self, learner: LearnerInCourse) -> CourseProgress | None:
        """What this learner has done in this course, from the facts; learners who ask at once are read at once."""
        return await self._progress.get(learner)

    async def _read_progress(self, learners: Collection[LearnerInCourse]) -> Mapping[LearnerInCourse, CourseProgress]:
        found = await self.enrollments(learners)
        enrollments = {learner: found[learner] for learner in learners if learner in found}
        counted = await self._counted({learner.course_id for learner in enrollments})
        lesson_ids = {lesson_id for course in counted.values() for lesson_id in course}
        records = await self._batches.find(
            _RECORDS,
            "userId",
            {learner.user_id for learner in enrollments} if lesson_ids else (),
            ("userId", "lessonId"),
            where={"lessonId": {"$in": list(lesson_ids)}} if len(lesson_ids) <= _LESSONS_NAMED else None,
        )
        completed: defaultdict[str, set[str]] = defaultdict(set)
        for record in records:
            completed[record["userId"]].add(record["lessonId"])
        return {
            learner: CourseProgress(enrollment.enrollment_id, counted[learner.course_id], completed[learner.user_id])
            for learner, enrollment in enrollments.items()
        }

    async def _counted(self, course_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
        """The lessons of these courses that count, in course order."""
        modules: defaultdict[str, list[Module]] = defaultdict(list)
        for d in await self._batches.find("courseModules", "courseId", course_ids, ("courseId", "order")):
            modules[d["courseId"]].append(Module(d["_id"], d.get("order", 0)))
        course_of = {module.module_id: course_id for course_id, found in modules.items() for module in found}
        lessons: defaultdict[str, list[PlacedLesson]] = defaultdict(list)
        for d in await self._batches.find("lessons", "moduleId", course_of, ("moduleId", "order", "isPreview")):
            lesson = PlacedLesson(d["_id"], d["moduleId"], d.get("order", 0), bool(d.get("isPreview", False)))
            lessons[course_of[lesson.module_id]].append(lesson)
        return {course_id: counted_lessons(modules[course_id], lessons[course_id]) for course_id in course_ids}


def _document(completion: Completion) -> dict[str, Any]:
    return {
        "_id": completion.progress_id,
        "userId": completion.user_id,
        "lessonId": completion.lesson_id,
        "courseId": completion.course_id,
        "enrollmentId": completion.enrollment_id,
        "completedAt": completion.completed_at,
    }


def _completion(document: Mapping[str, Any]) -> Completion:
    return Completion(
        document["_id"],
        document["userId"],
        document["lessonId"],
        document["courseId"],
        document["enrollmentId"],
        document["completedAt"],
    )
