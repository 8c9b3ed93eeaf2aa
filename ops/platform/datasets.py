"""A dataset: a platform's documents, and what its learners did, day by day."""

from dataclasses import dataclass

from ops.platform.documents import Platform


@dataclass(frozen=True, slots=True)
class PlannedCompletion:
    """A learner finished a lesson on a day counted from the start of the course (before it: negative)."""

    user_id: str
    lesson_id: str
    course_id: str
    submitted_day: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """What to import, and the completions to replay afterwards, in that order."""

    platform: Platform
    completions: tuple[PlannedCompletion, ...] = ()
