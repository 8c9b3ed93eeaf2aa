"""What it means to complete a lesson, and what a learner's course looks like."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.progress.domain import (
    Command,
    Completion,
    CourseProgress,
    Enrollment,
    Lesson,
    Module,
    PlacedLesson,
    complete,
    counted_lessons,
)
from shared.contracts.ids import progress_id
from shared.contracts.rejections import Rejection
from tests.support.issuer import NOW

COMMAND = Command("learner-1", "lesson-1", NOW)
LESSON = Lesson("lesson-1", "course-1", is_preview=False)
ENROLLMENT = Enrollment("enrollment-1", NOW - 1000)
PREVIEW = replace(LESSON, is_preview=True)
ORPHAN = replace(LESSON, course_id=None)


class TestDecidingACommand:
    def test_an_enrolled_learner_s_lesson_is_completed_at_the_command_s_time(self) -> None:
        assert complete(COMMAND, LESSON, ENROLLMENT) == Completion(
            progress_id=progress_id("learner-1", "lesson-1"),
            user_id="learner-1",
            lesson_id="lesson-1",
            course_id="course-1",
            enrollment_id="enrollment-1",
            completed_at=NOW,
        )

    @pytest.mark.parametrize(
        ("lesson", "enrollment", "code", "reason", "outcome"),
        [
            (None, ENROLLMENT, 404, "Lesson not found", "lesson_not_found"),
            (ORPHAN, ENROLLMENT, 404, "Module not found", "module_not_found"),
            (PREVIEW, ENROLLMENT, 422, "Preview lessons are not tracked", "preview"),
            (LESSON, None, 403, "Not enrolled in this course", "not_enrolled"),
        ],
    )
    def test_each_obstacle_has_its_answer(
        self, lesson: Lesson | None, enrollment: Enrollment | None, code: int, reason: str, outcome: str
    ) -> None:
        assert complete(COMMAND, lesson, enrollment) == Rejection(code, reason, outcome)

    @pytest.mark.parametrize(
        ("lesson", "outcome"),
        [
            (None, "lesson_not_found"),
            (replace(PREVIEW, course_id=None), "module_not_found"),
            (PREVIEW, "preview"),
            (LESSON, "not_enrolled"),
        ],
    )
    def test_the_first_obstacle_is_the_answer(self, lesson: Lesson | None, outcome: str) -> None:
        decision = complete(COMMAND, lesson, None)
        assert isinstance(decision, Rejection)
        assert decision.outcome == outcome


def placed(lesson_id: str, module_id: str = "m", order: int = 0, *, is_preview: bool = False) -> PlacedLesson:
    return PlacedLesson(lesson_id, module_id, order, is_preview)


class TestCourseOrder:
    def test_modules_stand_by_order_and_lessons_by_order_within_them(self) -> None:
        modules = [Module("b", 1), Module("a", 2)]
        lessons = [placed("a2", "a", 2), placed("a1", "a", 1), placed("b2", "b", 20), placed("b1", "b", 10)]
        assert counted_lessons(modules, lessons) == ["b1", "b2", "a1", "a2"]

    def test_ties_are_broken_by_id(self) -> None:
        assert counted_lessons([Module("m", 0)], [placed("z"), placed("a"), placed("m")]) == ["a", "m", "z"]

    def test_modules_of_the_same_order_never_interleave(self) -> None:
        modules = [Module("y", 1), Module("x", 1)]
        lessons = [placed("1", "y", 1), placed("2", "x", 1), placed("3", "y", 2), placed("4", "x", 2)]
        assert counted_lessons(modules, lessons) == ["2", "4", "1", "3"]

    def test_any_integer_is_an_order(self) -> None:
        modules = [Module("last", 2**40), Module("first", -(2**40)), Module("middle", 0)]
        lessons = [placed("c", "last", -1), placed("a", "first", 7), placed("b", "middle", 0)]
        assert counted_lessons(modules, lessons) == ["a", "b", "c"]

    def test_previews_and_lessons_of_other_modules_take_no_part(self) -> None:
        lessons = [placed("a"), placed("preview", is_preview=True), placed("stray", "gone")]
        assert counted_lessons([Module("m", 0)], lessons) == ["a"]

    @given(
        orders=st.dictionaries(st.sampled_from("abcd"), st.integers(-2, 2), min_size=1),
        places=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-2, 2), st.booleans()), max_size=12),
        shuffle=st.randoms(),
    )
    def test_the_order_they_were_read_in_never_matters_and_modules_stay_whole(
        self, orders: dict[str, int], places: list[tuple[str, int, bool]], shuffle: object
    ) -> None:
        modules = [Module(*item) for item in orders.items()]
        lessons = [placed(f"{n}", m, o, is_preview=p) for n, (m, o, p) in enumerate(places)]
        expected = counted_lessons(modules, lessons)
        shuffle.shuffle(modules)  # type: ignore[attr-defined]
        shuffle.shuffle(lessons)  # type: ignore[attr-defined]
        assert counted_lessons(modules, lessons) == expected

        module_of = {lesson.lesson_id: lesson.module_id for lesson in lessons}
        walked = [module_of[lesson_id] for lesson_id in expected]
        turns = [m for n, m in enumerate(walked) if n == 0 or walked[n - 1] != m]
        assert len(turns) == len(set(turns))
        assert [orders[m] for m in turns] == sorted(orders[m] for m in turns)


def course(lessons: str, done: str) -> CourseProgress:
    return CourseProgress("enrollment-1", list(lessons), set(done))


class TestACourseSoFar:
    @pytest.mark.parametrize(
        ("lessons", "done", "percent", "following"),
        [
            ("abcdefghij", "abcde", 50.0, "f"),
            ("abc", "", 0.0, "a"),
            ("abc", "b", 1 / 3 * 100, "a"),
            ("abc", "ab", 2 / 3 * 100, "c"),
            ("abc", "abc", 100.0, "a"),
            ("a", "a", 100.0, "a"),
            ("", "", 0.0, None),
            ("", "xyz", 0.0, None),
            ("abc", "axyz", 1 / 3 * 100, "b"),
        ],
        ids=[
            "half",
            "nothing",
            "a gap",
            "the last is open",
            "all",
            "one of one",
            "no lessons",
            "only old ones",
            "some old",
        ],
    )
    def test_percent_and_next_lesson(self, lessons: str, done: str, percent: float, following: str | None) -> None:
        assert (course(lessons, done).percent, course(lessons, done).next_lesson_id) == (percent, following)

    def test_completed_lessons_stand_in_course_order_without_those_that_no_longer_count(self) -> None:
        assert course("cab", "abcx").completed_lesson_ids == ["c", "a", "b"]

    def test_399_of_400_is_not_rounded(self) -> None:
        lessons = [str(n) for n in range(400)]
        so_far = CourseProgress("enrollment-1", lessons, set(lessons[:-1]))
        assert so_far.percent == 99.75
        assert so_far.next_lesson_id == "399"

    @given(total=st.integers(1, 60), done=st.sets(st.integers(0, 59)))
    def test_following_the_next_lesson_ends_at_a_hundred_percent(self, total: int, done: set[int]) -> None:
        lessons = [str(n) for n in range(total)]
        completed = {str(n) for n in done if n < total}
        for _ in range(total - len(completed)):
            so_far = CourseProgress("enrollment-1", lessons, completed)
            assert so_far.next_lesson_id not in completed
            completed = {*completed, str(so_far.next_lesson_id)}
        assert CourseProgress("enrollment-1", lessons, completed).percent == 100
