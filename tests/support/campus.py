"""A course platform for tests: courses, learners and enrollments of their own, written straight into the database."""

import secrets
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CourseMade:
    """A course and its lessons, in course order."""

    id: str
    lessons: tuple[str, ...]
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Learner:
    """A user who is enrolled in one course."""

    user_id: str
    enrollment_id: str
    course: CourseMade


class Campus:
    """Writes what belongs to the course platform; every id is new, so tests share one system."""

    def __init__(self, db: Any) -> None:
        self.db = db

    async def course(
        self, *modules: int, title: str = "Course", instructor: str | None = None, preview: int = 0
    ) -> CourseMade:
        """A course with so many lessons in each module, and so many previews in the first."""
        course_id = f"course-{secrets.token_hex(6)}"
        course = {"_id": course_id, "title": title} | ({"instructorName": instructor} if instructor else {})
        await self.db["courses"].insert_one(course)
        module_ids = [f"{course_id}-m{m}" for m in range(len(modules))]
        await self.db["courseModules"].insert_many(
            [{"_id": i, "courseId": course_id, "title": f"Module {n}", "order": n} for n, i in enumerate(module_ids)]
        )
        lessons = [
            {"_id": f"{module}-l{n}", "moduleId": module, "title": f"Lesson {n}", "order": n}
            for module, size in zip(module_ids, modules, strict=True)
            for n in range(size)
        ]
        previews = [
            {"_id": f"{course_id}-p{n}", "moduleId": module_ids[0], "title": "Preview", "order": -n, "isPreview": True}
            for n in range(preview)
        ]
        if lessons + previews:
            await self.db["lessons"].insert_many(lessons + previews)
        return CourseMade(course_id, tuple(lesson["_id"] for lesson in lessons), tuple(module_ids))  # type: ignore[misc]

    async def learner(self, course: CourseMade, *, name: str = "Maria Learner") -> Learner:
        """A new user, enrolled in a course."""
        user_id = f"user-{secrets.token_hex(6)}"
        await self.db["users"].insert_one({"_id": user_id, "name": name, "email": f"{user_id}@example.org"})
        return await self.enroll(user_id, course)

    async def enroll(self, user_id: str, course: CourseMade) -> Learner:
        """Enroll a user who is there."""
        enrollment_id = f"{course.id}:{user_id}"
        await self.db["enrollments"].insert_one(
            {"_id": enrollment_id, "userId": user_id, "courseId": course.id, "enrolledAt": 1_700_000_000_000}
        )
        return Learner(user_id, enrollment_id, course)

    async def enrollment(self, learner: Learner) -> Any:
        return await self.db["enrollments"].find_one({"_id": learner.enrollment_id})

    async def records(self, learner: Learner) -> list[Any]:
        records: list[Any] = await self.db["lessonProgress"].find({"userId": learner.user_id}).to_list(None)
        return records

    async def certificates(self, learner: Learner) -> list[Any]:
        found: list[Any] = await self.db["certificates"].find({"enrollmentId": learner.enrollment_id}).to_list(None)
        return found

    async def notifications(self, learner: Learner) -> list[Any]:
        found: list[Any] = await self.db["notifications"].find({"userId": learner.user_id}).to_list(None)
        return found
