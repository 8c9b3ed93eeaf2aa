"""What an enrollment's progress is, computed from the stored facts. Pure: no I/O, no framework."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from shared.contracts.percentage import is_done, progress_percent
from shared.contracts.rejections import Rejection
from shared.errors import Permanent
from shared.verification import Defect, Unjudged

ENROLLMENT_NOT_FOUND = Rejection(404, "Enrollment not found", "enrollment_not_found")


class EnrollmentNotFound(Permanent):
    """A lesson was completed in an enrollment that is not stored."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson that exists now, in the course of its module."""

    lesson_id: str
    course_id: str
    is_preview: bool


class Fact(NamedTuple):
    """A learner finished this lesson. `completed_at` in epoch ms."""

    lesson_id: str
    completed_at: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a learner is in a course; nothing at all before the first recalculation. `completed_at` in epoch ms."""

    completed: int = 0
    total: int = 0
    percent: float = 0.0
    completed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Enrollment:
    """A learner's place in a course, and the progress that is stored there."""

    enrollment_id: str
    user_id: str
    course_id: str
    progress: Progress = Progress()
    #: When the progress became what it is, by its facts; at first, when the learner enrolled. Epoch ms.
    progressed_at: int = 0
    #: Rises with every change of the progress, and only then.
    revision: int = 0
    #: How often a change of its course has come by: whoever read the lessons before one stores nothing after it.
    sweeps: int = 0


@dataclass(frozen=True, slots=True)
class Recalculated:
    """An enrollment as it was stored and as its facts say it is."""

    before: Enrollment
    after: Enrollment

    @property
    def changed(self) -> bool:
        """Whether the facts say something else than what was stored."""
        return self.after.progress != self.before.progress

    def advanced_by(self, completed_at: int) -> bool:
        """Whether a completion of this moment (epoch ms) is among those that were counted just now.

        Completions of an enrollment come in the order of their times: one that is not later than what was stored was
        counted before. Before the first recalculation none was.
        """
        advanced = self.after.progress.completed > self.before.progress.completed
        return advanced and (self.before.revision == 0 or completed_at > self.before.progressed_at)

    @property
    def drifted(self) -> bool:
        """Whether what is stored is wrong; before the first recalculation only what learners see is, not the total."""
        before, after = self.before.progress, self.after.progress
        if self.before.revision == 0:
            return (before.completed, before.percent) != (after.completed, after.percent)
        return self.changed


def countable(lessons: Iterable[Lesson]) -> Mapping[str, frozenset[str]]:
    """The ids of the lessons that count in `total`, by course: all but previews."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for lesson in lessons:
        if not lesson.is_preview:
            found[lesson.course_id].add(lesson.lesson_id)
    return {course_id: frozenset(lesson_ids) for course_id, lesson_ids in found.items()}


def recalculate(
    enrollment: Enrollment, lesson_ids: Collection[str], facts: Iterable[Fact], *, changed_at: int | None = None
) -> Enrollment:
    """The progress that the facts give: the same for the same facts, in whatever order and however often they come.

    `lesson_ids` are the course's lessons that count; facts of other lessons are passed over. `changed_at` is the
    record time of the course change that asks (epoch ms): an enrollment that it completes is completed no earlier.
    Unchanged progress gives the very same enrollment, revision included. `completed_at` is set once and stays.
    Source: contracts, "The rule"; AC-101.2, AC-101.3.
    """
    counted = [fact for fact in facts if fact.lesson_id in lesson_ids]
    completed, total = len({fact.lesson_id for fact in counted}), len(lesson_ids)
    moment = max([fact.completed_at for fact in counted] + [changed_at or 0])
    completed_at = enrollment.progress.completed_at
    if completed_at is None and is_done(completed, total):
        completed_at = moment
    progress = Progress(completed, total, progress_percent(completed, total), completed_at)
    if progress == enrollment.progress:
        return enrollment
    return replace(
        enrollment,
        progress=progress,
        progressed_at=max(enrollment.progressed_at, moment),
        revision=enrollment.revision + 1,
    )


@dataclass(frozen=True, slots=True)
class Sweep:
    """A changed course whose enrollments are being recalculated, in the order of their ids."""

    course_id: str
    #: The record time of the latest change, epoch ms.
    requested_at: int
    #: Rises with every change; a cursor belongs to one revision.
    revision: int
    #: The last enrollment that is done.
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """An enrollment whose stored progress is not what its facts say."""

    enrollment_id: str
    stored: Progress
    expected: Progress


@dataclass(frozen=True, slots=True)
class CourseChange:
    """The latest change of a course: its record time, epoch ms, and whether enrollments still wait for it."""

    requested_at: int
    open: bool


@dataclass(frozen=True, slots=True)
class Examined:
    """An enrollment as it is stored, and what is wrong with it by its facts."""

    enrollment: Enrollment
    flaws: Collection[Defect | Unjudged] = ()
    #: A change of its course is still on its way to it.
    changing: bool = False


def examined(
    enrollment: Enrollment, lesson_ids: Collection[str], facts: Iterable[Fact], change: CourseChange | None
) -> Examined:
    """Compare an enrollment with its facts, its moment of completion included.

    That moment is the one which a first recalculation would set now, or the course's change; where the course was
    changed since, the lessons that counted then are not known any more. Source: contracts, "The rule".
    """
    facts = list(facts)
    changing = change is not None and change.open
    flaws: list[Defect | Unjudged] = []
    now = Recalculated(enrollment, recalculate(enrollment, lesson_ids, facts))
    stored, expected = enrollment.progress, now.after.progress
    if now.drifted:
        moment_alone = replace(expected, completed_at=stored.completed_at) == stored
        flaws.append(Defect.WRONG_COMPLETED_AT if moment_alone else Defect.WRONG_PERCENTAGE)
    if stored.completed_at is not None:
        afresh = recalculate(replace(enrollment, progress=replace(stored, completed_at=None)), lesson_ids, facts)
        known = {afresh.progress.completed_at, change.requested_at if change is not None else None}
        if stored.completed_at not in known:
            since = change is not None and change.requested_at >= stored.completed_at
            flaws.append(Unjudged.COURSE_CHANGED_SINCE if since else Defect.WRONG_COMPLETED_AT)
    return Examined(enrollment, flaws, changing)


#: Differing enrollments that are kept by id, and looked at again until they are healed; more are only counted.
MOST_KNOWN = 1000


@dataclass(frozen=True, slots=True)
class BackgroundAudit:
    """How far the audit in the background has come and what it knows; it goes on from here whoever takes it up."""

    #: Rises with every step: a step holds only where nobody else took one.
    revision: int = 0
    #: The process that took the latest step.
    holder: str | None = None
    #: When the latest pass over all enrollments began, epoch ms.
    started_at: int | None = None
    running: bool = False
    #: The last enrollment that the running pass has compared, and how many it has.
    cursor: str | None = None
    compared: int = 0
    #: Enrollments that differed when they were last looked at.
    known: frozenset[str] = frozenset()
    #: How many more the running pass has found so far, and how many more the one before found.
    more: int = 0
    more_before: int = 0

    @property
    def differing(self) -> int:
        """Enrollments that differ, as far as is known."""
        return len(self.known) + max(self.more, self.more_before)

    def due(self, now: int, every: int) -> bool:
        """Whether a pass is to begin `now` (epoch ms) where one begins `every` so many ms.

        One that seems to have begun far in the future was written by a clock that went wrong, and is due as well. When
        every known difference is healed, those that were only counted are counted anew.
        """
        if self.running:
            return False
        if self.started_at is None or abs(now - self.started_at) >= every:
            return True
        return not self.known and self.more_before > 0

    def begun(self, now: int) -> "BackgroundAudit":
        """With a new pass, which begins `now` (epoch ms)."""
        return replace(self, started_at=now, running=True, cursor=None, compared=0, more=0)

    def paged(self, enrollment_ids: Sequence[str], differing: Collection[str], *, last: bool) -> "BackgroundAudit":
        """With these enrollments compared, of which some differ; after the `last` ones the pass is over."""
        new = sorted(set(differing) - self.known)
        kept = new[: MOST_KNOWN - len(self.known)]
        paged = replace(
            self,
            cursor=enrollment_ids[-1] if enrollment_ids else self.cursor,
            compared=self.compared + len(enrollment_ids),
            known=self.known.union(kept),
            more=self.more + len(new) - len(kept),
        )
        return replace(paged, running=False, cursor=None, more=0, more_before=paged.more) if last else paged

    def healed(self, enrollment_ids: Collection[str]) -> "BackgroundAudit":
        """Without these: they differ no longer."""
        return replace(self, known=self.known.difference(enrollment_ids))
