"""What a verification says of a stored moment of completion: right, wrong, or not to be judged any more."""

from dataclasses import replace

import pytest

from services.recalculator.domain import CourseChange, Enrollment, Fact, examined, recalculate
from shared.verification import Defect, Unjudged

AT = 1_700_000_000_000
LATER = AT + 60_000
LESSONS = frozenset({"lesson-1", "lesson-2"})
FACTS = [Fact("lesson-1", AT - 1), Fact("lesson-2", AT)]
COMPLETED = recalculate(Enrollment("enrollment-1", "learner-1", "course-1"), LESSONS, FACTS)


@pytest.mark.parametrize(
    ("completed_at", "changed_at", "flaws"),
    [
        (AT, None, []),
        (AT, LATER, []),
        (LATER, LATER, []),
        (AT + 5, None, [Defect.WRONG_COMPLETED_AT]),
        (AT + 5, AT + 4, [Defect.WRONG_COMPLETED_AT]),
        (AT + 5, LATER, [Unjudged.COURSE_CHANGED_SINCE]),
    ],
    ids=[
        "the last fact's",
        "the last fact's, before the course changed",
        "the change's, which left no lesson undone",
        "nobody's",
        "nobody's, after the course changed",
        "of lessons that counted before the course changed",
    ],
)
def test_it_is_the_last_facts_or_the_changes(
    completed_at: int, changed_at: int | None, flaws: list[Defect | Unjudged]
) -> None:
    stored = replace(COMPLETED, progress=replace(COMPLETED.progress, completed_at=completed_at))
    change = None if changed_at is None else CourseChange(changed_at, open=False)

    assert examined(stored, LESSONS, FACTS, change).flaws == flaws
