"""Progress' store in memory, for the suites that real ones pass too."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from services.progress.domain import Completion, CourseProgress, Enrollment, Lesson, Recorded
from services.progress.ports import ForeignRecord, LearnerInCourse
from shared.errors import Transient
from tests.support.steps import Steps


@dataclass
class FakeProgressStore:
    """Progress' facts and the catalog they refer to, in memory: one fact a learner and lesson."""

    steps: Steps = field(default_factory=Steps)
    #: By lesson.
    catalog: dict[str, Lesson] = field(default_factory=dict)
    #: The lessons that count, in course order, by course.
    counted: dict[str, list[str]] = field(default_factory=dict)
    enrolled: dict[LearnerInCourse, Enrollment] = field(default_factory=dict)
    facts: dict[tuple[str, str], Completion] = field(default_factory=dict)
    #: The errors of the next calls, one each; None lets a call through.
    failures: list[Exception | None] = field(default_factory=list)
    away: bool = False
    #: How many writes are stored without an answer.
    lost_answers: int = 0
    #: What asking about these learners raises.
    bugs: dict[str, Exception] = field(default_factory=dict)
    #: Names of the methods that were called, in order.
    calls: list[str] = field(default_factory=list)

    async def lessons(self, lesson_ids: Collection[str]) -> Mapping[str, Lesson]:
        await self._answer("lessons")
        return {lesson_id: self.catalog[lesson_id] for lesson_id in lesson_ids if lesson_id in self.catalog}

    async def enrollments(self, learners: Collection[LearnerInCourse]) -> Mapping[LearnerInCourse, Enrollment]:
        await self._answer("enrollments")
        for learner in learners:
            if learner.user_id in self.bugs:
                raise self.bugs[learner.user_id]
        return {learner: self.enrolled[learner] for learner in learners if learner in self.enrolled}

    async def record(self, completions: Sequence[Completion]) -> Mapping[str, Recorded]:
        await self._answer("record")
        recorded: dict[str, Recorded] = {}
        for completion in completions:
            place = completion.user_id, completion.lesson_id
            already = place in self.facts
            if already and self.facts[place].progress_id != completion.progress_id:
                raise ForeignRecord
            recorded[completion.progress_id] = Recorded(self.facts.setdefault(place, completion), already)
            await self.steps.reach("after a write")
        if self.lost_answers:
            self.lost_answers -= 1
            raise Transient("the answer was lost")
        return recorded

    async def recorded(self, progress_ids: Collection[str]) -> Mapping[str, Completion]:
        await self._answer("recorded")
        return {fact.progress_id: fact for fact in self.facts.values() if fact.progress_id in progress_ids}

    async def recorded_after(self, progress_id: str | None, limit: int) -> Sequence[Completion]:
        await self._answer("recorded_after")
        stored = sorted(self.facts.values())
        return [fact for fact in stored if progress_id is None or fact.progress_id > progress_id][:limit]

    async def record_count(self) -> int:
        await self._answer("record_count")
        return len(self.facts)

    async def course_progress(self, learner: LearnerInCourse) -> CourseProgress | None:
        await self._answer("course_progress")
        enrollment = self.enrolled.get(learner)
        if enrollment is None:
            return None
        done = {lesson_id for user_id, lesson_id in self.facts if user_id == learner.user_id}
        counted = self.counted.get(learner.course_id, [])
        return CourseProgress(enrollment.enrollment_id, counted, done & set(counted))

    async def _answer(self, call: str) -> None:
        self.calls.append(call)
        await self.steps.reach(f"before {call}")
        failure = self.failures.pop(0) if self.failures else None
        if self.away:
            raise Transient("the database is away")
        if failure is not None:
            raise failure
