"""What must have become of completions and operators' commands, as far as what is stored now can say."""

from collections.abc import Mapping, Sequence

from services.recalculator.domain import ENROLLMENT_NOT_FOUND, CourseChange, Enrollment
from services.recalculator.messaging.incoming import Incoming
from services.recalculator.ports import RecalculatorStore
from shared.contracts.operators import CourseChanged, ProgressRecalculate
from shared.verification import Fate, Unjudged, Verdict


async def verdicts(batch: Sequence[Incoming], store: RecalculatorStore) -> list[Verdict]:
    """Judge a batch in a fixed number of round trips; nothing is changed."""
    courses = {r.message.course_id for r in batch if isinstance(r.message, CourseChanged)}
    changes = await store.changes(courses) if courses else {}
    ids = {r.message.enrollment_id for r in batch if not isinstance(r.message, CourseChanged)}
    enrollments = await store.enrollments(ids) if ids else {}
    return [_verdict(received, enrollments, changes) for received in batch]


def _verdict(received: Incoming, enrollments: Mapping[str, Enrollment], changes: Mapping[str, CourseChange]) -> Verdict:
    message = received.message
    if isinstance(message, CourseChanged):
        change = changes.get(message.course_id)
        there = change is not None and change.requested_at >= received.at
        return Verdict(Fate.RECORDED if there else Fate.MISSING, "sweep_requested", course_id=message.course_id)
    enrollment = enrollments.get(message.enrollment_id)
    if enrollment is not None:
        return Verdict(Fate.RECORDED, "recalculated", None, enrollment.enrollment_id, enrollment.course_id)
    if isinstance(message, ProgressRecalculate):
        return Verdict(Fate.REJECTED, ENROLLMENT_NOT_FOUND.outcome, enrollment_id=message.enrollment_id)
    return Verdict(Fate.UNDECIDABLE, Unjudged.ENROLLMENT_GONE, enrollment_id=message.enrollment_id)
