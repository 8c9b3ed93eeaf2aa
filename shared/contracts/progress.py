"""What progress publishes."""

from typing import ClassVar

from shared.contracts.values import EpochMillis, Id, Message


class LessonCompleted(Message):
    """The fact everything else follows from: this learner finished this lesson."""

    TYPE: ClassVar[str] = "lesson.completed.v1"
    progress_id: Id
    user_id: Id
    lesson_id: Id
    course_id: Id
    enrollment_id: Id
    completed_at: EpochMillis


class LessonMarked(Message):
    """The reply to `lesson.complete.v1`: recorded, now or before."""

    TYPE: ClassVar[str] = "lesson.marked.v1"
    progress_id: Id
    lesson_id: Id
    course_id: Id
    enrollment_id: Id
    completed_at: EpochMillis
    #: A record existed when this copy was handled (advisory).
    already_completed: bool
