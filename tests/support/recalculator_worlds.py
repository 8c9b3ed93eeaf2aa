"""Stores of the recalculator with those who write what it reads: the same tests run on the fake and on databases."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from services.recalculator.ports import RecalculatorStore
from shared.contracts.ids import progress_id
from shared.mongo.client import Database
from shared.settings import MongoSettings
from tests.support.fakes_recalculator import ENROLLED_AT, Platform
from tests.support.issuer import NOW


class MongoPlatform:
    """What others write, as documents."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def course(self, course_id: str, lesson_ids: Iterable[str], *, previews: Iterable[str] = ()) -> None:
        modules = [f"{course_id}/first", f"{course_id}/second"]
        await self._db["lessons"].delete_many({"moduleId": {"$in": modules}})
        for module_id in modules:
            place = {"courseId": course_id, "title": "Module", "order": 1}
            await self._db["courseModules"].update_one({"_id": module_id}, {"$set": place}, upsert=True)
        counted = [{"_id": i, "moduleId": modules[n % 2], "order": n} for n, i in enumerate(lesson_ids)]
        uncounted = [{"_id": i, "moduleId": modules[0], "order": 0, "isPreview": True} for i in previews]
        if counted or uncounted:
            await self._db["lessons"].insert_many([*counted, *uncounted])

    async def enroll(self, enrollment_id: str, user_id: str, course_id: str) -> None:
        learner = {"userId": user_id, "courseId": course_id, "enrolledAt": ENROLLED_AT}
        await self._db["enrollments"].insert_one({"_id": enrollment_id, **learner})

    async def complete(self, user_id: str, *lesson_ids: str, at: int = NOW) -> None:
        elsewhere = {"courseId": "course-elsewhere", "enrollmentId": "enrollment-elsewhere"}
        await self._db["lessonProgress"].insert_many(
            [
                {"_id": progress_id(user_id, i), "userId": user_id, "lessonId": i, "completedAt": at, **elsewhere}
                for i in lesson_ids
            ]
        )


@dataclass(frozen=True)
class World:
    """A store, and who writes what it reads."""

    store: RecalculatorStore
    platform: Platform


@dataclass(frozen=True)
class RealWorld(World):
    """The same on a database, whose documents can be seen."""

    db: Database
    settings: MongoSettings

    async def document(self, collection: str, document_id: str) -> dict[str, Any]:
        """One document as it is stored."""
        found: dict[str, Any] = await self.db[collection].find_one({"_id": document_id}) or {}
        return found
