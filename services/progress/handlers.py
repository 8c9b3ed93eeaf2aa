"""Progress' use cases, one function each, over ports."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.progress.domain import Command, Completion, CourseProgress, Enrollment, Lesson, Recorded, complete
from services.progress.ports import LearnerInCourse, ProgressRecords, ProgressStore
from shared.contracts.ids import progress_id
from shared.contracts.rejections import Rejection


async def mark_complete(commands: Sequence[Command], store: ProgressStore) -> list[Recorded | Rejection]:
    """Answer a batch of commands in a fixed number of round trips, whatever its size.

    Several copies of one command in a batch are one record: the first is recorded, the others were before. What is
    recorded and would be refused now stays recorded: the catalog may have changed between a crash and this repeat, and
    a fact without its event would be lost.
    """
    lessons = await store.lessons({command.lesson_id for command in commands})
    enrollments = await store.enrollments(_learners(commands, lessons))
    decided = [_decide(command, lessons, enrollments) for command in commands]
    first = {d.progress_id: d for d in reversed(decided) if isinstance(d, Completion)}
    recorded = await store.record(list(first.values())) if first else {}
    refused = {progress_id(*c[:2]) for c, d in zip(commands, decided, strict=True) if isinstance(d, Rejection)}
    before = await store.recorded(refused) if refused else {}
    answers: list[Recorded | Rejection] = []
    for command, decision in zip(commands, decided, strict=True):
        if isinstance(decision, Rejection):
            fact = before.get(progress_id(command.user_id, command.lesson_id))
            answers.append(decision if fact is None else Recorded(fact, already=True))
            continue
        stored = recorded[decision.progress_id]
        copy = decision is not first[decision.progress_id]
        enrolled_at = enrollments[LearnerInCourse(command.user_id, decision.course_id)].enrolled_at
        age = max(0, stored.completion.completed_at - enrolled_at)
        answers.append(Recorded(stored.completion, stored.already or copy, age))
    return answers


async def course_progress(user_id: str, course_id: str, store: ProgressStore) -> CourseProgress | None:
    """What this learner has done in this course, from the facts; None when not enrolled or unknown."""
    return await store.course_progress(LearnerInCourse(user_id, course_id))


class Examined(NamedTuple):
    """A command of some time ago: what would be decided now, and the record that is there."""

    decision: Completion | Rejection
    stored: Completion | None
    lesson: Lesson | None
    #: When the learner enrolled (epoch ms); 0 without an enrollment.
    enrolled_at: int


async def examine(commands: Sequence[Command], store: ProgressRecords) -> list[Examined]:
    """Decide a batch of commands once more, as `mark_complete` does, and change nothing."""
    lessons = await store.lessons({command.lesson_id for command in commands})
    enrollments = await store.enrollments(_learners(commands, lessons))
    stored = await store.recorded({progress_id(command.user_id, command.lesson_id) for command in commands})
    examined = []
    for command in commands:
        lesson = lessons.get(command.lesson_id)
        enrollment = enrollments.get(LearnerInCourse(command.user_id, lesson.course_id or "")) if lesson else None
        examined.append(
            Examined(
                _decide(command, lessons, enrollments),
                stored.get(progress_id(command.user_id, command.lesson_id)),
                lesson,
                enrollment.enrolled_at if enrollment is not None else 0,
            )
        )
    return examined


def _learners(commands: Sequence[Command], lessons: Mapping[str, Lesson]) -> set[LearnerInCourse]:
    return {
        LearnerInCourse(command.user_id, lesson.course_id)
        for command in commands
        if (lesson := lessons.get(command.lesson_id)) is not None and lesson.course_id is not None
    }


def _decide(
    command: Command, lessons: Mapping[str, Lesson], enrollments: Mapping[LearnerInCourse, Enrollment]
) -> Completion | Rejection:
    lesson = lessons.get(command.lesson_id)
    course_id = lesson.course_id if lesson is not None else None
    enrollment = enrollments.get(LearnerInCourse(command.user_id, course_id)) if course_id is not None else None
    return complete(command, lesson, enrollment)
