"""The figures of the Open University's dataset, counted twice: by the oracle and by the reader."""

from pathlib import Path

import pytest

from ops.platform.counting import expected_figures
from ops.platform.datasets import Dataset
from ops.platform.oulad import read_oulad

EXAMPLE = Path(__file__).parents[3] / "examples" / "oulad"
COURSES = [f"{module}-{year}J" for module in ("AAA", "BBB", "DDD", "EEE", "FFF", "GGG") for year in (2013, 2014)]


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """The whole example."""
    return read_oulad(EXAMPLE)


def test_the_figures_that_must_come_out_are_the_known_ones() -> None:
    figures = expected_figures(EXAMPLE)

    assert (figures.courses, figures.lessons, figures.enrollments) == (12, 37, 12_489)
    assert figures.completions == 36_184
    assert (figures.certificates, figures.partial, figures.zero) == (10_322, 1_508, 659)
    assert figures.percentages[100.0] == 10_322
    assert figures.percentages[0.0] == 659
    assert sum(figures.percentages.values()) == 12_489


def test_the_figures_of_the_courses_add_up_to_those_of_the_whole() -> None:
    parts = [expected_figures(EXAMPLE, course) for course in COURSES]
    whole = expected_figures(EXAMPLE)

    for name in ("courses", "lessons", "enrollments", "completions", "certificates", "partial", "zero"):
        assert sum(getattr(part, name) for part in parts) == getattr(whole, name)


def test_the_reader_and_the_count_agree(dataset: Dataset) -> None:
    figures = expected_figures(EXAMPLE)

    assert len(dataset.platform.courses) == figures.courses
    assert len(dataset.platform.lessons) == figures.lessons
    assert len(dataset.platform.enrollments) == figures.enrollments
    assert len(dataset.completions) == figures.completions
    assert len(dataset.platform.users) == 12_400
    assert [course.id for course in dataset.platform.courses] == COURSES


@pytest.mark.parametrize("course", ["AAA-2013J", "BBB-2013J"])
def test_the_reader_and_the_count_agree_on_one_course(course: str) -> None:
    chosen, figures = read_oulad(EXAMPLE, course), expected_figures(EXAMPLE, course)

    assert [known.id for known in chosen.platform.courses] == [course]
    assert len(chosen.platform.lessons) == figures.lessons
    assert len(chosen.platform.users) == len(chosen.platform.enrollments) == figures.enrollments
    assert len(chosen.completions) == figures.completions


def test_completions_come_in_the_order_of_their_days(dataset: Dataset) -> None:
    days = [completion.submitted_day for completion in dataset.completions]

    assert days == sorted(days)


def test_each_completion_is_a_lesson_of_a_course_that_its_learner_is_enrolled_in(dataset: Dataset) -> None:
    course_of_module = {module.id: module.course_id for module in dataset.platform.modules}
    course_of = {lesson.id: course_of_module[lesson.module_id] for lesson in dataset.platform.lessons}
    enrolled = {(enrollment.user_id, enrollment.course_id) for enrollment in dataset.platform.enrollments}

    for completion in dataset.completions:
        assert course_of[completion.lesson_id] == completion.course_id
        assert (completion.user_id, completion.course_id) in enrolled
