"""Which courses count other lessons after an import than before it."""

from collections.abc import Mapping
from typing import Any

from ops.platform.database import Database, find_by
from ops.platform.documents import CourseModule, Lesson, Platform


async def changed_courses(
    database: Database,
    platform: Platform,
    modules: Mapping[str, Mapping[str, Any]],
    lessons: Mapping[str, Mapping[str, Any]],
) -> frozenset[str]:
    """Find the courses whose countable lessons the import changes.

    `modules` and `lessons` are the stored ones that the import names. Others matter too: a lesson that it does not
    name moves with its module, and a lesson that it names may come from a module that it does not name.

    Raises:
        ImportInterrupted: the database does not answer.
    """
    moved = {module.id for module in platform.modules if modules.get(module.id, {}).get("courseId") != module.course_id}
    origins = {lesson["moduleId"] for lesson in lessons.values() if "moduleId" in lesson} - modules.keys()
    with_them = await find_by(database, Lesson.COLLECTION, "moduleId", moved, ("isPreview",)) if moved else []
    from_there = await find_by(database, CourseModule.COLLECTION, "_id", origins, ("courseId",)) if origins else []
    lessons_before = {lesson["_id"]: lesson for lesson in with_them} | dict(lessons)
    modules_before = {module["_id"]: module for module in from_there} | dict(modules)
    before = _countable(lessons_before, modules_before)
    after = _countable(
        lessons_before | {lesson.id: lesson.stored() for lesson in platform.lessons},
        modules_before | {module.id: module.stored() for module in platform.modules},
    )
    return frozenset(course for course, _ in before ^ after)


def _countable(
    lessons: Mapping[str, Mapping[str, Any]], modules: Mapping[str, Mapping[str, Any]]
) -> frozenset[tuple[str, str]]:
    """Pair each lesson that is no preview with the course of its module."""
    return frozenset(
        (modules[lesson["moduleId"]]["courseId"], lesson_id)
        for lesson_id, lesson in lessons.items()
        if lesson.get("moduleId") in modules and not lesson.get("isPreview")
    )
