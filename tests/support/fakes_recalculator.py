"""The recalculator's store in memory, and what tests put into it; one suite runs on this one and on real ones."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from services.recalculator.domain import BackgroundAudit, CourseChange, Enrollment, Fact, Lesson, Recalculated, Sweep
from shared.errors import Transient
from tests.support.issuer import DAY, NOW
from tests.support.steps import Steps

#: When learners of these tests enrolled, epoch ms.
ENROLLED_AT = NOW - 7 * DAY


class Platform(Protocol):
    """What others write: the catalog, enrollments, facts."""

    async def course(self, course_id: str, lesson_ids: Iterable[str], *, previews: Iterable[str] = ()) -> None:
        """Give a course these lessons and no others."""

    async def enroll(self, enrollment_id: str, user_id: str, course_id: str) -> None:
        """Enroll a learner."""

    async def complete(self, user_id: str, *lesson_ids: str, at: int = NOW) -> None:
        """Store facts as progress does."""


@dataclass
class _StoredSweep:
    sweep: Sweep
    finished_at: int | None = None


@dataclass
class FakeRecalculatorStore:
    """Stored progress, the facts and the catalog: each call lies between steps, each update holds for one revision."""

    steps: Steps = field(default_factory=Steps)
    catalog: dict[str, Lesson] = field(default_factory=dict)
    stored: dict[str, Enrollment] = field(default_factory=dict)
    #: When a learner finished a lesson, by both.
    records: dict[tuple[str, str], int] = field(default_factory=dict)
    sweeps: dict[str, _StoredSweep] = field(default_factory=dict)
    audit: BackgroundAudit = field(default_factory=BackgroundAudit)
    away: bool = False
    #: Why the enrollments of a course cannot be read, by course id.
    broken: dict[str, Exception] = field(default_factory=dict)
    #: Names of the methods that were called, in order.
    calls: list[str] = field(default_factory=list)

    async def course(self, course_id: str, lesson_ids: Iterable[str], *, previews: Iterable[str] = ()) -> None:
        self.catalog = {i: lesson for i, lesson in self.catalog.items() if lesson.course_id != course_id}
        self.catalog |= {i: Lesson(i, course_id, is_preview=False) for i in lesson_ids}
        self.catalog |= {i: Lesson(i, course_id, is_preview=True) for i in previews}

    async def enroll(self, enrollment_id: str, user_id: str, course_id: str) -> None:
        self.stored[enrollment_id] = Enrollment(enrollment_id, user_id, course_id, progressed_at=ENROLLED_AT)

    async def complete(self, user_id: str, *lesson_ids: str, at: int = NOW) -> None:
        self.records |= {(user_id, lesson_id): at for lesson_id in lesson_ids}

    async def enrollments(self, enrollment_ids: Collection[str]) -> Mapping[str, Enrollment]:
        await self._answer("enrollments")
        return {i: self.stored[i] for i in enrollment_ids if i in self.stored}

    async def enrollments_after(
        self, enrollment_id: str | None, limit: int, *, course_id: str | None = None
    ) -> Sequence[Enrollment]:
        await self._answer("enrollments_after")
        if course_id in self.broken:
            raise self.broken[course_id]
        of_course = [e for _, e in sorted(self.stored.items()) if course_id in (None, e.course_id)]
        return [e for e in of_course if enrollment_id is None or e.enrollment_id > enrollment_id][:limit]

    async def enrollment_count(self) -> int:
        await self._answer("enrollment_count")
        return len(self.stored)

    async def lessons(self, course_ids: Collection[str]) -> Sequence[Lesson]:
        await self._answer("lessons")
        return [lesson for lesson in self.catalog.values() if lesson.course_id in course_ids]

    async def facts(self, user_ids: Collection[str], lesson_ids: Collection[str]) -> Mapping[str, Sequence[Fact]]:
        await self._answer("facts")
        facts: defaultdict[str, list[Fact]] = defaultdict(list)
        for (user_id, lesson_id), at in self.records.items():
            if user_id in user_ids and lesson_id in lesson_ids:
                facts[user_id].append(Fact(lesson_id, at))
        return facts

    async def mark(self, enrollment_ids: Collection[str]) -> None:
        await self._answer("mark")
        for i in enrollment_ids:
            if i in self.stored:
                self.stored[i] = replace(self.stored[i], sweeps=self.stored[i].sweeps + 1)
        await self.steps.reach("after a mark")

    async def save(self, changes: Collection[Recalculated]) -> bool:
        await self._answer("save")
        saved = 0
        for change in changes:
            stored = self.stored.get(change.before.enrollment_id)
            if stored is not None and _as_read(stored, change):
                self.stored[change.before.enrollment_id] = change.after
                saved += 1
            await self.steps.reach("after a write")
        return saved == len(changes)

    async def request_sweeps(self, requested_at: Mapping[str, int]) -> None:
        await self._answer("request_sweeps")
        for course_id, at in requested_at.items():
            earlier = self.sweeps.get(course_id, _StoredSweep(Sweep(course_id, at, 0))).sweep
            sweep = Sweep(course_id, max(at, earlier.requested_at), earlier.revision + 1)
            self.sweeps[course_id] = _StoredSweep(sweep)
        await self.steps.reach("after a sweep was requested")

    async def open_sweeps(self, limit: int) -> Sequence[Sweep]:
        await self._answer("open_sweeps")
        return [stored.sweep for stored in self.sweeps.values() if stored.finished_at is None][:limit]

    async def advance_sweep(self, sweep: Sweep, cursor: str | None, finished_at: int | None) -> bool:
        await self._answer("advance_sweep")
        stored = self.sweeps.get(sweep.course_id)
        if stored is None or stored.sweep != sweep:
            return False
        self.sweeps[sweep.course_id] = _StoredSweep(replace(sweep, cursor=cursor), finished_at)
        await self.steps.reach("after a sweep moved")
        return True

    async def completion_ratios(self, limit: int) -> Mapping[str, float]:
        await self._answer("completion_ratios")
        done: defaultdict[str, list[bool]] = defaultdict(list)
        for enrollment in self.stored.values():
            done[enrollment.course_id].append(enrollment.progress.completed_at is not None)
        largest = sorted(done.items(), key=lambda course: (-len(course[1]), course[0]))[:limit]
        return {course_id: sum(completed) / len(completed) for course_id, completed in largest}

    async def background_audit(self) -> BackgroundAudit:
        await self._answer("background_audit")
        return self.audit

    async def advance_background_audit(self, before: BackgroundAudit, after: BackgroundAudit) -> bool:
        await self._answer("advance_background_audit")
        if self.audit.revision != before.revision:
            return False
        self.audit = after
        return True

    async def changes(self, course_ids: Collection[str]) -> Mapping[str, CourseChange]:
        await self._answer("changes")
        found = {i: self.sweeps[i] for i in course_ids if i in self.sweeps}
        return {i: CourseChange(s.sweep.requested_at, s.finished_at is None) for i, s in found.items()}

    async def latest_change(self) -> int:
        await self._answer("latest_change")
        return max((stored.sweep.requested_at for stored in self.sweeps.values()), default=0)

    async def _answer(self, call: str) -> None:
        self.calls.append(call)
        await self.steps.reach(f"before {call}")
        if self.away:
            raise Transient("the database is away")


def _as_read(stored: Enrollment, change: Recalculated) -> bool:
    newly_completed = change.before.progress.completed_at is None and change.after.progress.completed_at is not None
    unset = not newly_completed or stored.progress.completed_at is None
    seen = (change.before.revision, change.before.sweeps)
    return (stored.revision, stored.sweeps) == seen and unset
