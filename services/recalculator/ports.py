"""Everything the recalculator needs from outside, on one screen."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeAlias

from services.recalculator.domain import BackgroundAudit, CourseChange, Enrollment, Fact, Lesson, Recalculated, Sweep

#: Publishes the states of these enrollments and returns when the broker has acknowledged all of them; else Transient.
Publish: TypeAlias = Callable[[Collection[Recalculated]], Awaitable[None]]


class RecalculatorStore(Protocol):
    """Stored progress, the facts behind it and the catalog. Raises Transient when the database does not answer."""

    async def enrollments(self, enrollment_ids: Collection[str]) -> Mapping[str, Enrollment]:
        """The enrollments that exist and can be read, by id."""

    async def enrollments_after(
        self, enrollment_id: str | None, limit: int, *, course_id: str | None = None
    ) -> Sequence[Enrollment]:
        """The next enrollments in the order of their ids, of one course or of all; from the first on for None.

        Fewer than `limit` are the last ones. What cannot be read as an enrollment is passed over.
        """

    async def enrollment_count(self) -> int:
        """About how many enrollments there are."""

    async def lessons(self, course_ids: Collection[str]) -> Sequence[Lesson]:
        """The lessons of these courses' modules, previews included."""

    async def facts(self, user_ids: Collection[str], lesson_ids: Collection[str]) -> Mapping[str, Sequence[Fact]]:
        """These learners' records by user id, at least those of these lessons, whatever enrollment they carry."""

    async def mark(self, enrollment_ids: Collection[str]) -> None:
        """Make every state of these that others are still computing one that is no longer as it was read."""

    async def save(self, changes: Collection[Recalculated]) -> bool:
        """Store each new state where the stored one is still as it was read; answers whether all of them were.

        Raises:
            Transient: the database cannot say whether it stored them.
        """

    async def request_sweeps(self, requested_at: Mapping[str, int]) -> None:
        """Store that these courses changed (epoch ms, by course id): their sweeps start from the beginning."""

    async def open_sweeps(self, limit: int) -> Sequence[Sweep]:
        """Sweeps that are not finished, at most `limit` of them."""

    async def advance_sweep(self, sweep: Sweep, cursor: str | None, finished_at: int | None) -> bool:
        """Move a sweep's cursor, or finish it (epoch ms), where nobody else did; answers whether it moved."""

    async def completion_ratios(self, limit: int) -> Mapping[str, float]:
        """Completed enrollments / all, by course id, of the courses with the most enrollments."""

    async def background_audit(self) -> BackgroundAudit:
        """How far the audit in the background has come; before its first step nowhere."""

    async def advance_background_audit(self, before: BackgroundAudit, after: BackgroundAudit) -> bool:
        """Store a step of the audit where its revision is still as it was read; answers whether it was."""

    async def changes(self, course_ids: Collection[str]) -> Mapping[str, CourseChange]:
        """The latest change of each of these courses that was ever announced, by course id."""

    async def latest_change(self) -> int:
        """When any course was changed last (epoch ms); 0 before the first change."""
