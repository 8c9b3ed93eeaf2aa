"""The Mongo side of progress' ports: documents to domain and back, one fact a learner and lesson."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.errors import BulkWriteError

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
from services.progress.ports import LearnerInCourse
from shared.errors import Transient
from shared.mongo.batches import Batches
from shared.mongo.client import Database, translated
from shared.settings import MongoSettings

_RECORDS = "lessonProgress"
_DUPLICATE_KEY = 11000


class MongoProgressStore:
    """`lessonProgress` is written here alone; catalog and enrollments are read."""

    def __init__(self, db: Database, settings: MongoSettings) -> None:
        self._batches = Batches(db, settings)
        self._records = db[_RECORDS]
        self._modules = db["courseModules"]
        self._lessons = db["lessons"]
        self._enrollments = db["enrollments"]

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
        before: list[str] = []
        with translated():
            try:
                await self._records.insert_many([_document(c) for c in completions], ordered=False)
            except BulkWriteError as partial:
                before = _stored_before(partial)
        stored = await self._batches.find(_RECORDS, "_id", before)
        recorded = {c.progress_id: Recorded(c, already=False) for c in completions}
        recorded.update((d["_id"], Recorded(_completion(d), already=True)) for d in stored)
        if len(stored) != len(before):
            raise Transient("a record that exists cannot be read yet")
        return recorded

    async def course_progress(self, learner: LearnerInCourse) -> CourseProgress | None:
        """What this learner has done in this course, from the facts."""
        with translated():
            enrollment = await self._enrollments.find_one({"userId": learner.user_id, "courseId": learner.course_id})
            if enrollment is None:
                return None
            lesson_ids = await self._lesson_ids(learner.course_id)
            records = await self._records.find(
                {"userId": learner.user_id, "lessonId": {"$in": lesson_ids}}, {"lessonId": 1}
            ).to_list(None)
        return CourseProgress(enrollment["_id"], lesson_ids, {d["lessonId"] for d in records})

    async def _lesson_ids(self, course_id: str) -> list[str]:
        modules = await self._modules.find({"courseId": course_id}, {"order": 1}).to_list(None)
        lessons = await self._lessons.find(
            {"moduleId": {"$in": [d["_id"] for d in modules]}}, {"moduleId": 1, "order": 1, "isPreview": 1}
        ).to_list(None)
        return counted_lessons(
            (Module(d["_id"], d.get("order", 0)) for d in modules),
            (
                PlacedLesson(d["_id"], d["moduleId"], d.get("order", 0), bool(d.get("isPreview", False)))
                for d in lessons
            ),
        )


def _stored_before(partial: BulkWriteError) -> list[str]:
    """The ids of the inserts that found their record there.

    Raises:
        Transient: the database cannot say whether it stored the others.
        BulkWriteError: another refusal.
    """
    details = partial.details or {}
    if details.get("writeConcernErrors"):
        raise Transient("write concern not satisfied") from partial
    errors = details.get("writeErrors", [])
    if any(error["code"] != _DUPLICATE_KEY for error in errors):
        raise partial
    return [error["op"]["_id"] for error in errors]


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
