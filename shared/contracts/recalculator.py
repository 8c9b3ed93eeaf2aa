"""What the recalculator publishes."""

from typing import Annotated, ClassVar

from pydantic import Field

from shared.contracts.values import EpochMillis, Id, Message

Count = Annotated[int, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]


class EnrollmentProgressed(Message):
    """The latest state of an enrollment; consumers keep the highest revision."""

    TYPE: ClassVar[str] = "enrollment.progressed.v1"
    enrollment_id: Id
    """The enrollment; the record's key."""
    user_id: Id
    """The learner."""
    course_id: Id
    """The course."""
    completed: Count
    """How many of the counted lessons the learner has completed."""
    total: Count
    """How many lessons count now: those of the course's modules that are no previews."""
    progress_percent: Percent
    """`completed / total * 100` in percent, not rounded; 0 when `total` is 0."""
    completed_at: EpochMillis | None
    """When everything was completed for the first time, in Unix epoch milliseconds; null until then, never unset."""
    revision: Count
    """Rises by one whenever the state changes; revisions between two records may be missing."""


class CourseCompleted(Message):
    """An enrollment has its `completedAt`, whatever its percentage is now."""

    TYPE: ClassVar[str] = "course.completed.v1"
    enrollment_id: Id
    """The enrollment; the record's key."""
    user_id: Id
    """The learner."""
    course_id: Id
    """The course that was completed."""
    completed_at: EpochMillis
    """When it was completed, in Unix epoch milliseconds."""


class ProgressRecalculated(Message):
    """The reply to `progress.recalculate.v1`."""

    TYPE: ClassVar[str] = "progress.recalculated.v1"
    enrollment_id: Id
    """The enrollment."""
    progress_percent: Percent
    """The percentage as computed now, not rounded."""
    completed_at: EpochMillis | None
    """When everything was completed for the first time, in Unix epoch milliseconds; null until then."""
