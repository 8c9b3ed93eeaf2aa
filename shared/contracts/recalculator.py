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
    user_id: Id
    course_id: Id
    completed: Count
    total: Count
    progress_percent: Percent
    completed_at: EpochMillis | None
    revision: Count


class CourseCompleted(Message):
    """An enrollment has its `completedAt`, whatever its percentage is now."""

    TYPE: ClassVar[str] = "course.completed.v1"
    enrollment_id: Id
    user_id: Id
    course_id: Id
    completed_at: EpochMillis


class ProgressRecalculated(Message):
    """The reply to `progress.recalculate.v1`."""

    TYPE: ClassVar[str] = "progress.recalculated.v1"
    enrollment_id: Id
    progress_percent: Percent
    completed_at: EpochMillis | None
