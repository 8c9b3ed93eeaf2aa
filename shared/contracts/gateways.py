"""Commands that gateways publish for their learners."""

from typing import ClassVar

from shared.contracts.values import Id, Message


class LessonComplete(Message):
    """A learner finished a lesson. Who: from the token alone, whatever the payload says."""

    TYPE: ClassVar[str] = "lesson.complete.v1"
    lesson_id: Id
    """The lesson that was finished."""
