"""Enrollments that contradict stored ones: each is one learner in one course for ever, and the only one of the two."""

from collections.abc import Iterator, Mapping
from typing import Any

from ops.platform.database import Database, find_by
from ops.platform.documents import Enrollment, Platform
from ops.platform.problems import ImportProblem, Problems


async def refuse_conflicts(database: Database, platform: Platform, stored: Mapping[str, Mapping[str, Any]]) -> None:
    """Compare the enrollments with the `stored` ones of the same ids, and with those of the same learners.

    Raises:
        ImportRefused: a stored enrollment is of another learner or course, or a pair is stored under another id.
        ImportInterrupted: the database does not answer.
    """
    learners = {enrollment.user_id for enrollment in platform.enrollments if enrollment.id not in stored}
    theirs = await find_by(database, Enrollment.COLLECTION, "userId", learners, ("courseId",)) if learners else []
    ids = {(document["userId"], document.get("courseId")): document["_id"] for document in theirs}
    problems = Problems()
    source = platform.source(Enrollment)
    for enrollment, line in zip(platform.enrollments, source.lines, strict=True):
        known = stored.get(enrollment.id)
        other = ids.get((enrollment.user_id, enrollment.course_id))
        if known is not None:
            problems.add_all(_other_owner(enrollment, known, source.file, line))
        elif other is not None:
            sentence = f"This learner's enrollment in this course is stored already, as {other!r}"
            problems.add(ImportProblem(source.file, line, "_id", sentence))
    problems.refuse_if_any()


def _other_owner(enrollment: Enrollment, known: Mapping[str, Any], file: str, line: int) -> Iterator[ImportProblem]:
    for field, given in (("userId", enrollment.user_id), ("courseId", enrollment.course_id)):
        if known.get(field) != given:
            yield ImportProblem(file, line, field, f"This enrollment is stored with {known.get(field)!r}")
