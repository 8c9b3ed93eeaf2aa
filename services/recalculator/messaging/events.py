"""What the recalculator publishes, built from the stored enrollment."""

from services.recalculator.domain import Enrollment
from shared.contracts.ids import deterministic_id
from shared.contracts.recalculator import CourseCompleted, EnrollmentProgressed
from shared.contracts.topics import COURSE_COMPLETED, ENROLLMENT_PROGRESSED
from shared.kafka.records import Event


def enrollment_events(enrollment: Enrollment) -> list[Event]:
    """The events of a stored state: always the same ones, published on every handling."""
    key, progress = enrollment.enrollment_id, enrollment.progress
    learner = {"enrollment_id": key, "user_id": enrollment.user_id, "course_id": enrollment.course_id}
    progressed = EnrollmentProgressed(
        **learner,
        completed=progress.completed,
        total=progress.total,
        progress_percent=progress.percent,
        completed_at=progress.completed_at,
        revision=enrollment.revision,
    )
    event_id = deterministic_id(EnrollmentProgressed.TYPE, key, enrollment.revision)
    events = [Event(ENROLLMENT_PROGRESSED, key, progressed, event_id, enrollment.progressed_at)]
    if progress.completed_at is not None:
        completed = CourseCompleted(**learner, completed_at=progress.completed_at)
        event_id = deterministic_id(CourseCompleted.TYPE, key)
        events.append(Event(COURSE_COMPLETED, key, completed, event_id, progress.completed_at))
    return events
