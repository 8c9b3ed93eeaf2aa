"""The three services as stages: what each takes, writes and publishes."""

from dataclasses import dataclass

from shared.contracts import topics


@dataclass(frozen=True, slots=True)
class Stage:
    """One service, by what it does with a record."""

    service: str
    #: The topic it takes records from.
    takes: str
    #: The collections that it writes on the way, in order.
    writes: tuple[str, ...]
    #: The topics that it publishes to before it commits.
    publishes: tuple[str, ...]


PROGRESS = Stage("progress", topics.PROGRESS_COMMANDS, ("lessonProgress",), (topics.LESSON_COMPLETED,))
RECALCULATOR = Stage(
    "recalculator",
    topics.LESSON_COMPLETED,
    ("enrollments",),
    (topics.ENROLLMENT_PROGRESSED, topics.COURSE_COMPLETED),
)
CERTIFICATES = Stage(
    "certificates",
    topics.COURSE_COMPLETED,
    ("notifications", "certificates", "fs.chunks", "fs.files"),
    (topics.CERTIFICATE_ISSUED, topics.NOTIFICATION_CREATED),
)
STAGES = (PROGRESS, RECALCULATOR, CERTIFICATES)


def upstream_of(stage: Stage) -> list[str]:
    """The services from whose events this stage's records come, in the order in which they work."""
    return [earlier.service for earlier in STAGES[: STAGES.index(stage)]]
