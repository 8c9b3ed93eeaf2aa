"""What it means to complete a lesson. Pure: no I/O, no framework."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.contracts.ids import progress_id
from shared.contracts.percentage import progress_percent
from shared.contracts.rejections import Rejection

LESSON_NOT_FOUND = Rejection(404, "Lesson not found", "lesson_not_found")
MODULE_NOT_FOUND = Rejection(404, "Module not found", "module_not_found")
NOT_ENROLLED = Rejection(403, "Not enrolled in this course", "not_enrolled")  # AC-101.7
PREVIEW = Rejection(422, "Preview lessons are not tracked", "preview")


class Command(NamedTuple):
    """One learner says: I finished this lesson. `at` is the command's record time, epoch ms."""

    user_id: str
    lesson_id: str
    at: int


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson as the catalog has it; no course when its module, or the module's course, is gone."""

    lesson_id: str
    course_id: str | None
    is_preview: bool


@dataclass(frozen=True, slots=True)
class Enrollment:
    """A learner's place in a course. `enrolled_at` in epoch ms."""

    enrollment_id: str
    enrolled_at: int


class Completion(NamedTuple):
    """The fact everything else follows from: this learner finished this lesson. `completed_at` in epoch ms."""

    progress_id: str
    user_id: str
    lesson_id: str
    course_id: str
    enrollment_id: str
    completed_at: int


class Recorded(NamedTuple):
    """The stored fact; `already` when a record existed before this command was handled."""

    completion: Completion
    already: bool
    #: Milliseconds from the enrollment to the marking.
    age: int = 0


def complete(command: Command, lesson: Lesson | None, enrollment: Enrollment | None) -> Completion | Rejection:
    """Decide one command.

    Source: the seed's "Mark Lesson Complete Flow", AC-101.1 and AC-101.7; contracts, "Commands and their answers".
    """
    if lesson is None:
        return LESSON_NOT_FOUND
    if lesson.course_id is None:
        return MODULE_NOT_FOUND
    if lesson.is_preview:
        return PREVIEW
    if enrollment is None:
        return NOT_ENROLLED
    return Completion(
        progress_id=progress_id(command.user_id, command.lesson_id),
        user_id=command.user_id,
        lesson_id=command.lesson_id,
        course_id=lesson.course_id,
        enrollment_id=enrollment.enrollment_id,
        completed_at=command.at,
    )


@dataclass(frozen=True, slots=True)
class Module:
    """A module's place in its course."""

    module_id: str
    order: int


@dataclass(frozen=True, slots=True)
class PlacedLesson:
    """A lesson's place in its module."""

    lesson_id: str
    module_id: str
    order: int
    is_preview: bool


def counted_lessons(modules: Iterable[Module], lessons: Iterable[PlacedLesson]) -> list[str]:
    """The lessons of these modules that count, in course order: modules by order, lessons by order, ties by id.

    Modules never interleave, even when their orders are the same. Source: AC-101.5; contracts, "HTTP".
    """
    place = {module.module_id: (module.order, module.module_id) for module in modules}
    counted = [lesson for lesson in lessons if not lesson.is_preview and lesson.module_id in place]
    counted.sort(key=lambda lesson: (place[lesson.module_id], lesson.order, lesson.lesson_id))
    return [lesson.lesson_id for lesson in counted]


@dataclass(frozen=True, slots=True)
class CourseProgress:
    """A learner's course as its facts say: the lessons that count, in course order, and which are done."""

    enrollment_id: str
    lesson_ids: Sequence[str]
    completed: Collection[str]

    @property
    def completed_lesson_ids(self) -> list[str]:
        """The lessons that are done, in course order; a record of a lesson that no longer counts is not among them."""
        return [lesson_id for lesson_id in self.lesson_ids if lesson_id in self.completed]

    @property
    def percent(self) -> float:
        """Source: AC-101.2, AC-101.8."""
        return progress_percent(len(self.completed_lesson_ids), len(self.lesson_ids))

    @property
    def next_lesson_id(self) -> str | None:
        """The first lesson without a record; all done: the first one, for review; none: None. Source: AC-101.5."""
        open_lessons = (lesson_id for lesson_id in self.lesson_ids if lesson_id not in self.completed)
        return next(open_lessons, self.lesson_ids[0] if self.lesson_ids else None)
