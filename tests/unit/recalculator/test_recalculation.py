"""Recalculating a batch of enrollments: from the facts, once each, in a fixed number of round trips."""

from collections.abc import Collection

import pytest

from services.recalculator.domain import Progress, Recalculated
from services.recalculator.handlers import Overtaken, recalculate_enrollments
from tests.support.fakes_recalculator import ENROLLED_AT, FakeRecalculatorStore
from tests.support.issuer import NOW

ROUND = ["enrollments", "lessons", "facts"]


async def test_the_stored_percentage_is_what_the_facts_say(store: FakeRecalculatorStore) -> None:
    await store.complete("learner-1", "lesson-0", "lesson-1", "preview-1", "lesson-elsewhere")

    found = await recalculate_enrollments(["enrollment-1"], store)

    assert found["enrollment-1"].after.progress == Progress(2, 10, 20.0, None)
    assert found["enrollment-1"].before.progress == Progress()
    assert store.stored["enrollment-1"] == found["enrollment-1"].after


async def test_enrollments_that_do_not_exist_are_not_in_the_answer(store: FakeRecalculatorStore) -> None:
    assert set(await recalculate_enrollments(["enrollment-1", "nobody"], store)) == {"enrollment-1"}
    assert await recalculate_enrollments(["nobody"], store) == {}


async def test_nothing_is_written_when_nothing_changed_and_the_stored_state_is_answered(
    store: FakeRecalculatorStore,
) -> None:
    await store.complete("learner-1", "lesson-0")
    first = await recalculate_enrollments(["enrollment-1"], store)
    store.calls.clear()

    again = await recalculate_enrollments(["enrollment-1"], store)

    assert store.calls == ROUND
    assert again["enrollment-1"] == Recalculated(first["enrollment-1"].after, first["enrollment-1"].after)


@pytest.mark.parametrize("enrollments", [1, 50])
async def test_a_batch_costs_the_same_round_trips_whatever_its_size(
    store: FakeRecalculatorStore, enrollments: int
) -> None:
    ids = [f"many-{n}" for n in range(enrollments)]
    for n, enrollment_id in enumerate(ids):
        await store.course(f"course-{n}", [f"{n}/1", f"{n}/2"])
        await store.enroll(enrollment_id, f"learner-{n}", f"course-{n}")
        await store.complete(f"learner-{n}", f"{n}/1")

    found = await recalculate_enrollments(ids, store)

    assert store.calls == [*ROUND, "save"]
    assert {r.after.progress.percent for r in found.values()} == {50.0}


async def test_a_learner_in_several_courses_has_each_by_its_own_lessons(store: FakeRecalculatorStore) -> None:
    await store.course("course-2", ["other-0", "other-1"])
    await store.enroll("enrollment-2", "learner-1", "course-2")
    await store.complete("learner-1", "lesson-0", "other-0", "other-1")

    found = await recalculate_enrollments(["enrollment-1", "enrollment-2"], store)

    assert found["enrollment-1"].after.progress == Progress(1, 10, 10.0, None)
    assert found["enrollment-2"].after.progress == Progress(2, 2, 100.0, NOW)


async def test_a_course_without_lessons_leaves_the_enrollment_as_it_is(store: FakeRecalculatorStore) -> None:
    await store.enroll("enrollment-2", "learner-1", "course-without-lessons")

    found = await recalculate_enrollments(["enrollment-2"], store)

    assert not found["enrollment-2"].changed
    assert (found["enrollment-2"].after.revision, found["enrollment-2"].after.progressed_at) == (0, ENROLLED_AT)


class Overtaking(FakeRecalculatorStore):
    """A store where another recalculator is faster so many times, and each time one more fact arrives after it."""

    times = 0

    async def save(self, changes: Collection[Recalculated]) -> bool:
        if self.times:
            self.times -= 1
            other = FakeRecalculatorStore(catalog=self.catalog, stored=self.stored, records=self.records)
            await recalculate_enrollments(["enrollment-1"], other)
            await self.complete("learner-1", f"lesson-{self.times}")
        return await super().save(changes)


@pytest.fixture
async def overtaking(store: FakeRecalculatorStore) -> Overtaking:
    await store.course("course-1", [f"lesson-{n}" for n in range(20)])
    await store.complete("learner-1", "lesson-19")
    return Overtaking(catalog=store.catalog, stored=store.stored, records=store.records)


async def test_whoever_is_overtaken_reads_again_and_stores_the_newest_view(overtaking: Overtaking) -> None:
    overtaking.times = 3

    found = await recalculate_enrollments(["enrollment-1"], overtaking)

    assert overtaking.calls == [*ROUND, "save"] * 4
    assert found["enrollment-1"].after.progress.completed == 4
    assert found["enrollment-1"].before.progress.completed == 0
    assert overtaking.stored["enrollment-1"] == found["enrollment-1"].after


async def test_neighbours_of_an_overtaken_enrollment_are_stored_once(overtaking: Overtaking) -> None:
    overtaking.times = 1
    await overtaking.enroll("enrollment-2", "learner-2", "course-1")

    found = await recalculate_enrollments(["enrollment-1", "enrollment-2"], overtaking)

    assert found["enrollment-2"].after.revision == 1
    assert found["enrollment-2"].changed


async def test_whoever_is_overtaken_for_ever_waits_instead_of_spinning(overtaking: Overtaking) -> None:
    overtaking.times = 10

    with pytest.raises(Overtaken):
        await recalculate_enrollments(["enrollment-1"], overtaking)

    assert overtaking.calls == [*ROUND, "save"] * 10
