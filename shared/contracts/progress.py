"""What progress publishes."""

from typing import ClassVar

from shared.contracts.values import EpochMillis, Id, Message


class LessonCompleted(Message):
    """The fact everything else follows from: this learner finished this lesson."""

    TYPE: ClassVar[str] = "lesson.completed.v1"
    progress_id: Id
    """The one record of this learner and this lesson; the same for every repetition."""
    user_id: Id
    """The learner, as the token said."""
    lesson_id: Id
    """The lesson that was finished."""
    course_id: Id
    """The lesson's course."""
    enrollment_id: Id
    """The learner's enrollment in the course; the record's key."""
    completed_at: EpochMillis
    """When the broker took the first command, in Unix epoch milliseconds."""


class LessonMarked(Message):
    """The reply to `lesson.complete.v1`: recorded, now or before."""

    TYPE: ClassVar[str] = "lesson.marked.v1"
    progress_id: Id
    """The one record of this learner and this lesson; the same for every repetition."""
    lesson_id: Id
    """The lesson that was finished."""
    course_id: Id
    """The lesson's course."""
    enrollment_id: Id
    """The learner's enrollment in the course."""
    completed_at: EpochMillis
    """When the broker took the first command, in Unix epoch milliseconds; the same for every repetition."""
    already_completed: bool
    """A record existed when this copy was handled (advisory)."""
