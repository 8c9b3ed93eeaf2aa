"""What a verification says of a stored enrollment: what is wrong with it, and whether a change is on its way to it."""

from dataclasses import replace

import pytest

from services.recalculator.domain import CourseChange, Enrollment, Examined, Fact, Progress, examined, recalculate
from shared.verification import Defect

AT = 1_700_000_000_000
LESSONS = frozenset({"lesson-1", "lesson-2"})
FACTS = [Fact("lesson-1", AT - 1), Fact("lesson-2", AT)]
NEW = Enrollment("enrollment-1", "learner-1", "course-1")
COMPLETED = recalculate(NEW, LESSONS, FACTS)


@pytest.mark.parametrize("stored", [NEW, COMPLETED], ids=["before anything was learned", "completed"])
def test_nothing_is_wrong_with_what_its_facts_give(stored: Enrollment) -> None:
    facts = FACTS if stored is COMPLETED else []

    assert examined(stored, LESSONS, facts, None) == Examined(stored, [])


@pytest.mark.parametrize(
    ("progress", "flaw"),
    [
        (Progress(1, 2, 50.0), Defect.WRONG_PERCENTAGE),
        (Progress(1, 2, 50.0, AT), Defect.WRONG_PERCENTAGE),
        (Progress(2, 2, 100.0), Defect.WRONG_COMPLETED_AT),
    ],
    ids=["a fact is not counted", "a fact is not counted any more", "the moment alone is missing"],
)
def test_what_differs_is_named(progress: Progress, flaw: Defect) -> None:
    stored = replace(COMPLETED, progress=progress)

    assert examined(stored, LESSONS, FACTS, None) == Examined(stored, [flaw])


@pytest.mark.parametrize(
    ("change", "changing"),
    [(None, False), (CourseChange(AT, open=False), False), (CourseChange(AT, open=True), True)],
    ids=["never changed", "the change has come by", "the change is on its way"],
)
def test_it_is_said_whether_a_change_of_the_course_is_on_its_way_to_it(
    change: CourseChange | None, *, changing: bool
) -> None:
    assert examined(COMPLETED, LESSONS, FACTS, change).changing is changing
