"""The rule of the percentage, and of the moment a course is completed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recalculator.domain import Enrollment, Fact, Lesson, Progress, Recalculated, countable, recalculate

AT = 1_700_000_000_000
LATER = AT + 60_000

NEW = Enrollment("enrollment-1", "learner-1", "course-1", progressed_at=AT - 1)


def lessons(count: int) -> frozenset[str]:
    return frozenset(f"lesson-{n}" for n in range(count))


def facts(count: int, *, at: int = AT) -> list[Fact]:
    """The first `count` lessons, one a millisecond, the last one at `at`."""
    return [Fact(f"lesson-{n}", at - count + n + 1) for n in range(count)]


MANY_FACTS = st.lists(st.builds(Fact, st.sampled_from(sorted(lessons(8))), st.integers(0, 2**40)))


class TestPercentage:
    @pytest.mark.parametrize(
        ("completed", "total", "percent"),
        [(0, 10, 0.0), (5, 10, 50.0), (10, 10, 100.0), (1, 3, 1 / 3 * 100), (399, 400, 399 / 400 * 100), (0, 0, 0.0)],
    )
    def test_it_is_completed_divided_by_total_in_doubles(self, completed: int, total: int, percent: float) -> None:
        after = recalculate(NEW, lessons(total), facts(completed))

        assert (after.progress.completed, after.progress.total) == (completed, total)
        assert after.progress.percent == percent

    @given(MANY_FACTS, st.randoms())
    def test_order_and_repetition_of_facts_change_nothing(self, some: list[Fact], random: object) -> None:
        shuffled = [*some, *some]
        random.shuffle(shuffled)  # type: ignore[attr-defined]

        assert recalculate(NEW, lessons(5), shuffled) == recalculate(NEW, lessons(5), some)

    @given(MANY_FACTS)
    def test_facts_of_lessons_that_do_not_count_are_passed_over(self, some: list[Fact]) -> None:
        counted = [fact for fact in some if fact.lesson_id in lessons(5)]

        assert recalculate(NEW, lessons(5), some) == recalculate(NEW, lessons(5), counted)

    @given(MANY_FACTS, st.integers(0, 8))
    def test_it_stays_between_0_and_100_and_is_100_only_when_everything_is_done(
        self, some: list[Fact], total: int
    ) -> None:
        progress = recalculate(NEW, lessons(total), some).progress

        assert 0 <= progress.percent <= 100
        assert (progress.completed_at is not None) == (progress.completed == total > 0) == (progress.percent == 100)


class TestCompletion:
    def test_399_of_400_lessons_are_not_done(self) -> None:
        assert recalculate(NEW, lessons(400), facts(399)).progress.completed_at is None

    def test_400_of_400_lessons_are_done_when_the_last_one_was(self) -> None:
        assert recalculate(NEW, lessons(400), facts(400)).progress.completed_at == AT

    def test_the_last_lesson_is_the_one_with_the_largest_time_wherever_it_stands(self) -> None:
        after = recalculate(NEW, lessons(2), [Fact("lesson-0", LATER), Fact("lesson-1", AT)])

        assert after.progress.completed_at == LATER

    def test_a_fact_that_does_not_count_does_not_move_the_moment(self) -> None:
        after = recalculate(NEW, lessons(2), [*facts(2), Fact("elsewhere", LATER)])

        assert after.progress.completed_at == AT

    def test_an_empty_course_is_never_completed(self) -> None:
        assert recalculate(NEW, lessons(0), facts(3), changed_at=LATER) is NEW

    def test_it_is_set_once_whatever_is_found_later(self) -> None:
        done = recalculate(NEW, lessons(2), facts(2))

        again = recalculate(done, lessons(2), facts(2, at=LATER), changed_at=LATER + 1)

        assert again is done

    @given(st.lists(st.tuples(st.integers(0, 8), MANY_FACTS, st.none() | st.integers(0, 2**40)), max_size=6))
    def test_once_there_it_never_changes_and_never_disappears(
        self, history: list[tuple[int, list[Fact], int | None]]
    ) -> None:
        enrollment, moments = NEW, list[int]()
        for total, some, changed_at in history:
            enrollment = recalculate(enrollment, lessons(total), some, changed_at=changed_at)
            if enrollment.progress.completed_at is not None or moments:
                moments.append(enrollment.progress.completed_at or -1)

        assert len(set(moments)) <= 1


class TestChangedCourse:
    def test_lessons_added_after_completion_lower_the_percentage_and_keep_the_moment(self) -> None:
        done = recalculate(NEW, lessons(2), facts(2))

        after = recalculate(done, lessons(4), facts(2), changed_at=LATER)

        assert after.progress == Progress(2, 4, 50.0, AT)

    def test_removing_the_last_open_lesson_completes_at_the_time_of_the_change(self) -> None:
        open_ = recalculate(NEW, lessons(3), facts(2))

        after = recalculate(open_, lessons(2), facts(2), changed_at=LATER)

        assert after.progress == Progress(2, 2, 100.0, LATER)

    def test_a_fact_later_than_the_change_is_the_moment(self) -> None:
        after = recalculate(NEW, lessons(2), facts(2, at=LATER), changed_at=AT)

        assert after.progress.completed_at == LATER

    def test_removing_every_lesson_leaves_nothing_but_the_moment(self) -> None:
        done = recalculate(NEW, lessons(2), facts(2))

        assert recalculate(done, lessons(0), facts(2), changed_at=LATER).progress == Progress(0, 0, 0.0, AT)

    def test_previews_do_not_count_and_each_lesson_counts_in_its_own_course(self) -> None:
        found = countable(
            [
                Lesson("lesson-1", "course-1", is_preview=False),
                Lesson("preview-1", "course-1", is_preview=True),
                Lesson("lesson-2", "course-2", is_preview=False),
                Lesson("preview-3", "course-3", is_preview=True),
            ]
        )

        assert found == {"course-1": {"lesson-1"}, "course-2": {"lesson-2"}}


class TestRevision:
    def test_a_change_raises_it_by_one_and_notes_the_latest_counted_fact(self) -> None:
        after = recalculate(NEW, lessons(4), [*facts(2), Fact("elsewhere", LATER)])

        assert (after.revision, after.progressed_at) == (1, AT)

    def test_unchanged_progress_is_the_very_same_enrollment(self) -> None:
        once = recalculate(NEW, lessons(4), facts(2))

        assert recalculate(once, lessons(4), facts(2), changed_at=LATER) is once

    def test_a_change_of_the_course_notes_its_own_time(self) -> None:
        once = recalculate(NEW, lessons(4), facts(2))

        assert recalculate(once, lessons(5), facts(2), changed_at=LATER).progressed_at == LATER

    def test_the_noted_time_never_goes_back(self) -> None:
        once = recalculate(NEW, lessons(4), facts(2), changed_at=LATER)

        assert recalculate(once, lessons(4), facts(3)).progressed_at == LATER

    def test_progress_without_any_fact_was_reached_on_enrolling(self) -> None:
        assert recalculate(NEW, lessons(4), []).progressed_at == NEW.progressed_at

    def test_whoever_learned_nothing_in_an_empty_course_has_no_revision(self) -> None:
        assert recalculate(NEW, lessons(0), []).revision == 0


class TestDrift:
    def test_a_total_that_was_never_stored_is_no_drift(self) -> None:
        assert not Recalculated(NEW, recalculate(NEW, lessons(4), [])).drifted

    def test_a_fact_that_was_never_counted_is_drift(self) -> None:
        assert Recalculated(NEW, recalculate(NEW, lessons(4), facts(1))).drifted

    def test_a_stored_total_that_is_wrong_is_drift(self) -> None:
        stored = recalculate(NEW, lessons(4), [])

        assert Recalculated(stored, recalculate(stored, lessons(5), [])).drifted

    def test_a_completion_that_was_never_stored_is_drift(self) -> None:
        stored = Enrollment("enrollment-1", "learner-1", "course-1", Progress(2, 2, 100.0, None), AT, 3)

        assert Recalculated(stored, recalculate(stored, lessons(2), facts(2))).drifted

    def test_what_follows_from_the_facts_is_no_drift(self) -> None:
        stored = recalculate(NEW, lessons(2), facts(2))

        assert not Recalculated(stored, recalculate(stored, lessons(2), facts(2))).drifted


class TestAdvance:
    """Whose completion moved the percentage just now: that one is measured."""

    ONCE = recalculate(NEW, lessons(4), facts(1))

    def test_a_completion_that_was_counted_just_now_did(self) -> None:
        now = Recalculated(self.ONCE, recalculate(self.ONCE, lessons(4), facts(2, at=LATER)))

        assert now.advanced_by(LATER)

    def test_one_that_was_counted_before_did_not(self) -> None:
        now = Recalculated(self.ONCE, recalculate(self.ONCE, lessons(4), facts(2, at=LATER)))

        assert not now.advanced_by(AT)

    def test_before_the_first_recalculation_none_was_counted(self) -> None:
        assert Recalculated(NEW, self.ONCE).advanced_by(NEW.progressed_at - 1)

    def test_one_of_a_lesson_that_does_not_count_did_not(self) -> None:
        again = recalculate(self.ONCE, lessons(4), [*facts(1), Fact("elsewhere", LATER)])

        assert not Recalculated(self.ONCE, again).advanced_by(LATER)
