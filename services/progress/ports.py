"""Everything progress needs from outside, on one screen."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from services.progress.domain import Completion, CourseProgress, Enrollment, Lesson, Recorded
from shared.errors import Permanent


class ForeignRecord(Permanent):
    """A record of this learner and lesson stands under an id that is not ours: no service of ours wrote it."""


class LearnerInCourse(NamedTuple):
    """Who, where."""

    user_id: str
    course_id: str


class ProgressStore(Protocol):
    """The facts, and the catalog they refer to. Every method raises Transient when the database does not answer."""

    async def lessons(self, lesson_ids: Collection[str]) -> Mapping[str, Lesson]:
        """The lessons that exist, previews included, by id."""

    async def enrollments(self, learners: Collection[LearnerInCourse]) -> Mapping[LearnerInCourse, Enrollment]:
        """The enrollments that exist."""

    async def record(self, completions: Sequence[Completion]) -> Mapping[str, Recorded]:
        """Store each completion once, durably; for one stored before, give back the stored fact. By progress id.

        Raises:
            Transient: the database cannot say whether it stored them.
            ForeignRecord: the place of one is taken.
        """

    async def recorded(self, progress_ids: Collection[str]) -> Mapping[str, Completion]:
        """Those of these records that exist, by id."""

    async def course_progress(self, learner: LearnerInCourse) -> CourseProgress | None:
        """What this learner has done in this course; None when not enrolled or unknown."""


class ProgressRecords(ProgressStore, Protocol):
    """What a check of the records reads besides."""

    async def recorded_after(self, progress_id: str | None, limit: int) -> Sequence[Completion]:
        """The next records in the order of their ids, from the first on for None; fewer than `limit` are the last."""

    async def record_count(self) -> int:
        """About how many records there are."""
