"""What progress' store promises, asked of the fake and of real databases alike."""

import asyncio

import pytest

from services.progress.domain import CourseProgress, Enrollment, Lesson, Recorded
from services.progress.ports import ForeignRecord, LearnerInCourse
from tests.integration.progress.conftest import World
from tests.support.builders import completion
from tests.support.issuer import NOW

MODULES = {
    "module-z": {"order": 1, "lessons": [("lesson-4", 2, False), ("lesson-9", 1, False), ("preview-1", 0, True)]},
    "module-a": {"order": 2, "lessons": [("lesson-2", -1, False), ("lesson-1", -1, False)]},
    "module-b": {"order": 2, "lessons": [("lesson-0", -5, False)]},
}
IN_ORDER = ["lesson-9", "lesson-4", "lesson-1", "lesson-2", "lesson-0"]
HERE = LearnerInCourse("learner-1", "course-1")


async def filled(world: World) -> str:
    await world.course("course-1", MODULES)
    await world.course("course-2", {"module-x": {"order": 0, "lessons": [("other-1", 0, False)]}})
    return await world.enroll("learner-1", "course-1", NOW - 1000)


class TestTheCatalog:
    async def test_lessons_are_found_with_their_course_previews_included(self, world: World) -> None:
        await filled(world)
        assert await world.store.lessons({"lesson-1", "other-1", "preview-1", "nowhere"}) == {
            "lesson-1": Lesson("lesson-1", "course-1", is_preview=False),
            "other-1": Lesson("other-1", "course-2", is_preview=False),
            "preview-1": Lesson("preview-1", "course-1", is_preview=True),
        }

    async def test_a_lesson_whose_module_or_course_is_gone_has_no_course(self, world: World) -> None:
        await world.lesson_without("orphan-1", module=False)
        await world.lesson_without("orphan-2", module=True)
        found = await world.store.lessons({"orphan-1", "orphan-2"})
        assert {lesson_id: lesson.course_id for lesson_id, lesson in found.items()} == {
            "orphan-1": None,
            "orphan-2": None,
        }

    async def test_of_nothing_there_is_nothing(self, world: World) -> None:
        assert await world.store.lessons(set()) == {}
        assert await world.store.enrollments(set()) == {}


class TestEnrollments:
    async def test_exactly_those_that_were_asked_for_are_found(self, world: World) -> None:
        enrollment_id = await filled(world)
        await world.enroll("learner-2", "course-2", NOW)
        await world.enroll("learner-2", "course-1", NOW)
        asked = {HERE, LearnerInCourse("learner-2", "course-2"), LearnerInCourse("learner-1", "course-2")}

        found = await world.store.enrollments(asked)

        assert {learner: found[learner] for learner in asked if learner in found} == {
            HERE: Enrollment(enrollment_id, NOW - 1000),
            LearnerInCourse("learner-2", "course-2"): Enrollment("learner-2@course-2", NOW),
        }


class TestRecording:
    async def test_a_fact_is_stored_once_and_given_back_as_it_was_first(self, world: World) -> None:
        first, later = completion(), completion(at=NOW + 5)
        assert await world.store.record([first]) == {first.progress_id: Recorded(first, already=False)}
        assert await world.store.record([later]) == {first.progress_id: Recorded(first, already=True)}

    async def test_a_batch_of_new_and_old_ones_says_which_is_which(self, world: World) -> None:
        old = [completion(lesson_id=f"lesson-{n}") for n in range(0, 200, 2)]
        await world.store.record(old)
        everything = [completion(lesson_id=f"lesson-{n}", at=NOW + 1) for n in range(200)]

        recorded = await world.store.record(everything)

        assert len(recorded) == 200
        assert {r.completion.lesson_id for r in recorded.values() if r.already} == {c.lesson_id for c in old}
        assert all(r.completion.completed_at == (NOW if r.already else NOW + 1) for r in recorded.values())

    async def test_at_the_same_moment_exactly_one_is_the_first(self, world: World) -> None:
        rivals = [completion(at=NOW + n) for n in range(8)]
        answers = await asyncio.gather(*(world.store.record([rival]) for rival in rivals))
        recorded = [answer[rivals[0].progress_id] for answer in answers]
        assert [r.already for r in recorded].count(False) == 1
        assert len({r.completion for r in recorded}) == 1

    async def test_a_place_that_a_foreign_record_holds_is_no_reason_to_wait(self, world: World) -> None:
        theirs, ours, neighbour = completion(), completion(), completion(lesson_id="lesson-2")
        await world.record_by_hand(theirs._replace(progress_id="written-by-hand"))

        with pytest.raises(ForeignRecord):
            await world.store.record([ours, neighbour])

        assert (await world.store.record([neighbour]))[neighbour.progress_id].completion == neighbour

    async def test_ids_may_hold_anything(self, world: World) -> None:
        strange = completion("$where", "a.b/c\u2028🎓'\"", "{course}")
        await world.store.record([strange])
        assert (await world.store.record([strange._replace(completed_at=1)]))[strange.progress_id].completion == strange


class TestACourse:
    async def test_lessons_stand_in_course_order_without_previews(self, world: World) -> None:
        enrollment_id = await filled(world)
        await world.store.record([completion(lesson_id="lesson-4"), completion(lesson_id="preview-1")])
        await world.store.record([completion("learner-2", "lesson-9"), completion(lesson_id="other-1")])

        found = await world.store.course_progress(HERE)

        assert found == CourseProgress(enrollment_id, IN_ORDER, {"lesson-4"})

    async def test_without_an_enrollment_there_is_none(self, world: World) -> None:
        await filled(world)
        assert await world.store.course_progress(LearnerInCourse("learner-1", "course-2")) is None
        assert await world.store.course_progress(LearnerInCourse("stranger", "course-1")) is None
        assert await world.store.course_progress(LearnerInCourse("learner-1", "nowhere")) is None

    async def test_a_course_without_lessons_is_empty(self, world: World) -> None:
        await world.course("course-1", {})
        enrollment_id = await world.enroll("learner-1", "course-1", NOW)
        assert await world.store.course_progress(HERE) == CourseProgress(enrollment_id, [], set())

    @pytest.mark.parametrize("lessons_named", [1, 1_000])
    async def test_learners_who_ask_at_once_are_answered_as_if_alone(
        self, world: World, monkeypatch: pytest.MonkeyPatch, lessons_named: int
    ) -> None:
        monkeypatch.setattr("services.progress.storage._LESSONS_NAMED", lessons_named)
        await filled(world)
        await world.course("course-3", {})
        for user_id, course_id in (("learner-1", "course-2"), ("learner-2", "course-2"), ("learner-2", "course-3")):
            await world.enroll(user_id, course_id, NOW)
        await world.store.record([completion(lesson_id="lesson-2"), completion("learner-2", "other-1")])
        asked = [
            LearnerInCourse(f"learner-{learner}", f"course-{course}") for learner in (1, 2, 3) for course in (1, 2, 3)
        ]

        at_once = await asyncio.gather(*(world.store.course_progress(learner) for learner in asked))

        shown = {
            (learner.user_id, learner.course_id): (found.enrollment_id, found.lesson_ids, found.completed_lesson_ids)
            for learner, found in zip(asked, at_once, strict=True)
            if found is not None
        }
        assert shown == {
            ("learner-1", "course-1"): ("learner-1@course-1", IN_ORDER, ["lesson-2"]),
            ("learner-1", "course-2"): ("learner-1@course-2", ["other-1"], []),
            ("learner-2", "course-2"): ("learner-2@course-2", ["other-1"], ["other-1"]),
            ("learner-2", "course-3"): ("learner-2@course-3", [], []),
        }


class TestCheckingRecords:
    async def test_records_are_found_by_their_ids_and_page_by_page_in_the_order_of_them(self, world: World) -> None:
        facts = [completion("learner-1", f"lesson-{n}", at=NOW + n) for n in range(5)]
        await world.store.record(facts)
        in_order = sorted(facts)

        first = await world.store.recorded_after(None, 3)
        rest = await world.store.recorded_after(first[-1].progress_id, 3)

        assert [*first, *rest] == in_order
        assert await world.store.recorded_after(in_order[-1].progress_id, 3) == []
        assert await world.store.recorded({facts[2].progress_id, "unknown"}) == {facts[2].progress_id: facts[2]}
        assert await world.store.record_count() == 5
