"""Progress' store in memory and on every database server: the same suite proves all of them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

import pytest

from ops.platform.indexes import prepare_indexes
from services.progress.domain import Completion, Enrollment, Lesson, Module, PlacedLesson, counted_lessons
from services.progress.ports import LearnerInCourse, ProgressRecords
from services.progress.storage import MongoProgressStore
from shared.mongo.client import Database
from tests.support.database_servers import SERVERS, Servers, servers_of
from tests.support.fakes_progress import FakeProgressStore


class World(Protocol):
    """A store, and the platform that fills the catalog beside it."""

    @property
    def store(self) -> ProgressRecords:
        """What is tested."""

    async def course(self, course_id: str, modules: Mapping[str, Mapping[str, Any]]) -> None:
        """A course with modules by id: `order`, and `lessons` as (id, order, preview)."""

    async def lesson_without(self, lesson_id: str, *, module: bool) -> None:
        """A lesson whose module is gone, or whose module's course is."""

    async def record_by_hand(self, record: Completion) -> None:
        """A record that this service did not write."""

    async def enroll(self, user_id: str, course_id: str, enrolled_at: int) -> str:
        """A learner in a course; answers the enrollment's id."""


class InMemory:
    """The fake, filled as the platform would fill the database."""

    def __init__(self) -> None:
        self.store = FakeProgressStore()

    async def course(self, course_id: str, modules: Mapping[str, Mapping[str, Any]]) -> None:
        placed = [PlacedLesson(i, m, o, p) for m, module in modules.items() for i, o, p in module["lessons"]]
        places = [Module(m, module["order"]) for m, module in modules.items()]
        self.store.counted[course_id] = counted_lessons(places, placed)
        self.store.catalog |= {p.lesson_id: Lesson(p.lesson_id, course_id, p.is_preview) for p in placed}

    async def lesson_without(self, lesson_id: str, *, module: bool) -> None:
        self.store.catalog[lesson_id] = Lesson(lesson_id, None, is_preview=False)

    async def record_by_hand(self, record: Completion) -> None:
        self.store.facts[record.user_id, record.lesson_id] = record

    async def enroll(self, user_id: str, course_id: str, enrolled_at: int) -> str:
        enrollment = Enrollment(f"{user_id}@{course_id}", enrolled_at)
        self.store.enrolled[LearnerInCourse(user_id, course_id)] = enrollment
        return enrollment.enrollment_id


class OnServer:
    """The real store in a database of its own."""

    def __init__(self, store: MongoProgressStore, db: Database, own: Database) -> None:
        self.store = store
        self._db = db
        self._own = own

    async def course(self, course_id: str, modules: Mapping[str, Mapping[str, Any]]) -> None:
        await self._db["courses"].insert_one({"_id": course_id, "title": course_id})
        for module_id, module in modules.items():
            document = {"_id": module_id, "courseId": course_id, "title": module_id, "order": module["order"]}
            await self._db["courseModules"].insert_one(document)
            await self._insert(module_id, module["lessons"])

    async def _insert(self, module_id: str, lessons: Sequence[tuple[str, int, bool]]) -> None:
        for lesson_id, order, preview in lessons:
            absent_is_false = {"isPreview": True} if preview else {}
            document = {"_id": lesson_id, "moduleId": module_id, "title": lesson_id, "order": order, **absent_is_false}
            await self._db["lessons"].insert_one(document)

    async def lesson_without(self, lesson_id: str, *, module: bool) -> None:
        module_id = f"module-of-{lesson_id}"
        await self._insert(module_id, [(lesson_id, 1, False)])
        if module:
            lost = {"_id": module_id, "courseId": "gone", "title": module_id, "order": 1}
            await self._db["courseModules"].insert_one(lost)

    async def record_by_hand(self, record: Completion) -> None:
        learner_and_lesson = {"userId": record.user_id, "lessonId": record.lesson_id}
        await self._own["lessonProgress"].insert_one({"_id": record.progress_id, **learner_and_lesson})

    async def enroll(self, user_id: str, course_id: str, enrolled_at: int) -> str:
        enrollment_id = f"{user_id}@{course_id}"
        document = {"_id": enrollment_id, "userId": user_id, "courseId": course_id, "enrolledAt": enrolled_at}
        await self._db["enrollments"].insert_one(document)
        return enrollment_id


@pytest.fixture(scope="session")
async def servers(request: pytest.FixtureRequest) -> AsyncIterator[Servers]:
    """The database servers of all these tests."""
    async with servers_of(request.config) as servers:
        yield servers


@pytest.fixture(params=["memory", *SERVERS])
async def world(request: pytest.FixtureRequest, servers: Servers, record_property: Any) -> AsyncIterator[World]:
    """Every store there is: what holds for a real one has to hold for the fake."""
    if request.param == "memory":
        yield InMemory()
        return
    record_property("stack", servers.name(request.param))
    async with servers.room(request.param, "progress") as room:
        await prepare_indexes(room.platform)
        store = MongoProgressStore(room.own, room.settings)
        await store.prepare()
        yield OnServer(store, room.platform, room.own)
