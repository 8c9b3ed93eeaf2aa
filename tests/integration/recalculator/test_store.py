"""What the recalculator's store promises, asked of the fake and of real databases alike."""

from dataclasses import replace

from services.recalculator.domain import (
    BackgroundAudit,
    CourseChange,
    Enrollment,
    Fact,
    Lesson,
    Progress,
    Recalculated,
    Sweep,
)
from tests.support.fakes_recalculator import ENROLLED_AT
from tests.support.issuer import NOW
from tests.support.recalculator_worlds import World

NEW = Enrollment("enrollment-1", "learner-1", "course-1", progressed_at=ENROLLED_AT)
HALF = replace(NEW, progress=Progress(1, 2, 50.0), progressed_at=NOW, revision=1)
DONE = replace(NEW, progress=Progress(2, 2, 100.0, NOW + 1), progressed_at=NOW + 1, revision=2)


async def enrolled(world: World, count: int = 1, course_id: str = "course-1") -> list[str]:
    ids = [f"enrollment-{n}" for n in range(1, count + 1)]
    for n, enrollment_id in enumerate(ids, start=1):
        await world.platform.enroll(enrollment_id, f"learner-{n}", course_id)
    return ids


class TestEnrollments:
    async def test_a_new_one_has_no_progress_and_the_time_of_its_enrolling(self, world: World) -> None:
        await enrolled(world)

        assert await world.store.enrollments(["enrollment-1", "nobody"]) == {"enrollment-1": NEW}
        assert await world.store.enrollments([]) == {}

    async def test_hundreds_are_found_at_once(self, world: World) -> None:
        ids = await enrolled(world, 120)

        assert set(await world.store.enrollments(ids)) == set(ids)
        assert await world.store.enrollment_count() == 120

    async def test_pages_follow_the_order_of_ids_within_a_course(self, world: World) -> None:
        await enrolled(world, 5)
        await world.platform.enroll("enrollment-2b", "learner-9", "course-2")

        async def page(after: str | None, course_id: str | None = None) -> list[str]:
            found = await world.store.enrollments_after(after, 2, course_id=course_id)
            return [e.enrollment_id for e in found]

        assert await page(None, "course-1") == ["enrollment-1", "enrollment-2"]
        assert await page("enrollment-2", "course-1") == ["enrollment-3", "enrollment-4"]
        assert await page("enrollment-4", "course-1") == ["enrollment-5"]
        assert await page("enrollment-5", "course-1") == []
        assert await page("enrollment-2") == ["enrollment-2b", "enrollment-3"]
        assert await page(None, "unknown") == []


class TestCatalogAndFacts:
    async def test_the_lessons_of_the_courses_that_are_asked_for_previews_included(self, world: World) -> None:
        await world.platform.course("course-1", ["lesson-1", "lesson-2"], previews=["preview-1"])
        await world.platform.course("course-2", ["lesson-3"])
        await world.platform.course("course-3", ["lesson-4"])

        found = await world.store.lessons(["course-1", "course-2", "unknown"])

        assert {(lesson.lesson_id, lesson.course_id, lesson.is_preview) for lesson in found} == {
            ("lesson-1", "course-1", False),
            ("lesson-2", "course-1", False),
            ("preview-1", "course-1", True),
            ("lesson-3", "course-2", False),
        }
        assert await world.store.lessons(["unknown"]) == []

    async def test_a_lesson_that_is_gone_is_gone(self, world: World) -> None:
        await world.platform.course("course-1", ["lesson-1", "lesson-2"])
        await world.platform.course("course-1", ["lesson-2"])

        assert await world.store.lessons(["course-1"]) == [Lesson("lesson-2", "course-1", is_preview=False)]

    async def test_facts_are_the_learners_own_whatever_enrollment_they_carry(self, world: World) -> None:
        await world.platform.complete("learner-1", "lesson-1", at=NOW)
        await world.platform.complete("learner-1", "lesson-2", at=NOW + 1)
        await world.platform.complete("learner-2", "lesson-1", at=NOW + 2)
        await world.platform.complete("learner-3", "lesson-1", at=NOW + 3)

        found = await world.store.facts(["learner-1", "learner-2", "nobody"], ["lesson-1", "lesson-9"])

        assert {user: set(facts) for user, facts in found.items()} == {
            "learner-1": {Fact("lesson-1", NOW)},
            "learner-2": {Fact("lesson-1", NOW + 2)},
        }
        assert await world.store.facts(["learner-1"], []) == {}

    async def test_a_course_with_thousands_of_lessons_is_no_obstacle(self, world: World) -> None:
        await world.platform.complete("learner-1", "lesson-1", "lesson-elsewhere")

        found = await world.store.facts(["learner-1"], [f"lesson-{n}" for n in range(12_000)])

        assert Fact("lesson-1", NOW) in found["learner-1"]


class TestSaving:
    async def test_what_was_saved_is_what_is_read(self, world: World) -> None:
        await enrolled(world)

        assert await world.store.save([Recalculated(NEW, HALF)])
        assert await world.store.enrollments(["enrollment-1"]) == {"enrollment-1": HALF}
        assert await world.store.save([Recalculated(HALF, DONE)])
        assert await world.store.enrollments(["enrollment-1"]) == {"enrollment-1": DONE}

    async def test_an_older_view_never_replaces_a_newer_one(self, world: World) -> None:
        await enrolled(world)
        await world.store.save([Recalculated(NEW, HALF)])

        assert not await world.store.save([Recalculated(NEW, replace(DONE, revision=1))])
        assert await world.store.enrollments(["enrollment-1"]) == {"enrollment-1": HALF}

    async def test_the_others_of_a_batch_are_saved_all_the_same(self, world: World) -> None:
        await enrolled(world, 3)
        await world.store.save([Recalculated(NEW, HALF)])
        others = [replace(NEW, enrollment_id=f"enrollment-{n}", user_id=f"learner-{n}") for n in (2, 3)]
        changes = [Recalculated(e, replace(e, progress=Progress(1, 2, 50.0), revision=1)) for e in (NEW, *others)]

        assert not await world.store.save(changes)
        found = await world.store.enrollments([e.enrollment_id for e in others])
        assert {e.progress.percent for e in found.values()} == {50.0}

    async def test_an_enrollment_that_is_gone_is_not_saved(self, world: World) -> None:
        assert not await world.store.save([Recalculated(NEW, HALF)])
        assert await world.store.enrollments(["enrollment-1"]) == {}

    async def test_a_completion_keeps_its_moment_when_the_percentage_falls(self, world: World) -> None:
        await enrolled(world)
        await world.store.save([Recalculated(NEW, DONE)])
        fallen = replace(DONE, progress=Progress(2, 4, 50.0, NOW + 1), revision=3)

        assert await world.store.save([Recalculated(DONE, fallen)])
        assert await world.store.enrollments(["enrollment-1"]) == {"enrollment-1": fallen}


class TestSweeps:
    async def test_a_change_opens_one_that_starts_at_the_beginning(self, world: World) -> None:
        await world.store.request_sweeps({"course-1": NOW})

        assert await world.store.open_sweeps(10) == [Sweep("course-1", NOW, 1)]

    async def test_its_cursor_moves_until_it_is_finished(self, world: World) -> None:
        await world.store.request_sweeps({"course-1": NOW})
        [sweep] = await world.store.open_sweeps(10)

        assert await world.store.advance_sweep(sweep, "enrollment-2", None)
        [moved] = await world.store.open_sweeps(10)
        assert moved == replace(sweep, cursor="enrollment-2")
        assert await world.store.advance_sweep(moved, "enrollment-3", NOW + 1)
        assert await world.store.open_sweeps(10) == []

    async def test_one_without_any_enrollment_is_finished_without_a_cursor(self, world: World) -> None:
        await world.store.request_sweeps({"course-1": NOW})
        [sweep] = await world.store.open_sweeps(10)

        assert await world.store.advance_sweep(sweep, None, NOW + 1)
        assert await world.store.open_sweeps(10) == []

    async def test_only_one_of_two_who_overlap_moves_it(self, world: World) -> None:
        await world.store.request_sweeps({"course-1": NOW})
        [sweep] = await world.store.open_sweeps(10)
        assert await world.store.advance_sweep(sweep, "enrollment-2", None)

        assert not await world.store.advance_sweep(sweep, "enrollment-2", None)
        assert not await world.store.advance_sweep(sweep, None, NOW)

    async def test_a_newer_change_takes_it_away_from_whoever_works_on_it(self, world: World) -> None:
        await world.store.request_sweeps({"course-1": NOW})
        [sweep] = await world.store.open_sweeps(10)
        await world.store.advance_sweep(sweep, "enrollment-2", None)
        [moved] = await world.store.open_sweeps(10)
        await world.store.request_sweeps({"course-1": NOW + 5})

        assert not await world.store.advance_sweep(moved, "enrollment-3", NOW)
        assert await world.store.open_sweeps(10) == [Sweep("course-1", NOW + 5, 2)]

    async def test_a_newer_change_takes_it_away_from_whoever_has_only_begun(self, world: World) -> None:
        await world.store.request_sweeps({"course-1": NOW})
        [sweep] = await world.store.open_sweeps(10)
        await world.store.request_sweeps({"course-1": NOW})

        assert not await world.store.advance_sweep(sweep, "enrollment-2", None)
        assert not await world.store.advance_sweep(sweep, None, NOW)
        assert await world.store.open_sweeps(10) == [Sweep("course-1", NOW, 2)]

    async def test_a_change_opens_a_finished_one_again_and_its_time_never_goes_back(self, world: World) -> None:
        await world.store.request_sweeps({"course-1": NOW})
        [sweep] = await world.store.open_sweeps(10)
        await world.store.advance_sweep(sweep, "enrollment-1", NOW)
        await world.store.request_sweeps({"course-1": NOW - 5})

        assert await world.store.open_sweeps(10) == [Sweep("course-1", NOW, 2)]

    async def test_several_are_open_at_once_and_no_more_are_given_than_asked_for(self, world: World) -> None:
        await world.store.request_sweeps({f"course-{n}": NOW for n in range(4)})

        assert len(await world.store.open_sweeps(10)) == 4
        assert len(await world.store.open_sweeps(3)) == 3


class TestFigures:
    async def test_ratios_of_the_courses_with_the_most_enrollments(self, world: World) -> None:
        await enrolled(world, 4)
        for n in range(2):
            await world.platform.enroll(f"other-{n}", f"learner-{n + 1}", "course-2")
        await world.platform.enroll("single", "learner-1", "course-3")
        await world.store.save([Recalculated(NEW, DONE)])

        assert await world.store.completion_ratios(2) == {"course-1": 0.25, "course-2": 0.0}

    async def test_ratios_of_nothing_are_nothing(self, world: World) -> None:
        assert await world.store.completion_ratios(10) == {}


class TestBackgroundAudit:
    async def test_before_its_first_step_it_is_nowhere(self, world: World) -> None:
        assert await world.store.background_audit() == BackgroundAudit()

    async def test_a_step_comes_back_as_it_was_stored(self, world: World) -> None:
        known = frozenset({"enrollment-1", "enrollment-ä"})
        first = BackgroundAudit(1, "me", NOW, running=True, cursor="enrollment-1", compared=7, known=known, more=3)
        second = BackgroundAudit(2, "another", NOW, more_before=3)

        assert await world.store.advance_background_audit(BackgroundAudit(), first)
        assert await world.store.background_audit() == first
        assert await world.store.advance_background_audit(first, second)
        assert await world.store.background_audit() == second

    async def test_a_step_holds_only_where_nobody_else_took_one(self, world: World) -> None:
        first, late = BackgroundAudit(1, "me"), BackgroundAudit(1, "another")
        await world.store.advance_background_audit(BackgroundAudit(), first)

        assert not await world.store.advance_background_audit(BackgroundAudit(), late)
        assert await world.store.advance_background_audit(first, BackgroundAudit(2, "me"))
        assert not await world.store.advance_background_audit(first, BackgroundAudit(2, "another"))
        assert await world.store.background_audit() == BackgroundAudit(2, "me")


class TestChanges:
    async def test_the_latest_change_of_a_course_is_known_and_whether_it_is_over(self, world: World) -> None:
        assert (await world.store.changes(["course-1"]), await world.store.latest_change()) == ({}, 0)
        await world.store.request_sweeps({"course-1": NOW, "course-2": NOW + 5})
        [first] = [sweep for sweep in await world.store.open_sweeps(10) if sweep.course_id == "course-1"]
        await world.store.advance_sweep(first, None, NOW + 9)

        found = await world.store.changes(["course-1", "course-2", "course-3"])

        assert found == {"course-1": CourseChange(NOW, open=False), "course-2": CourseChange(NOW + 5, open=True)}
        assert await world.store.latest_change() == NOW + 5
