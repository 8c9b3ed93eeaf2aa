"""Recalculators that overlap on one store, and sweeps that are cut short."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest

from services.recalculator.domain import Fact, Progress, Recalculated
from services.recalculator.handlers import recalculate_enrollments, sweep_page
from services.recalculator.ports import RecalculatorStore
from shared.errors import Transient
from tests.support.issuer import NOW
from tests.support.recalculator_worlds import World

LESSONS = ["lesson-0", "lesson-1", "lesson-2", "lesson-3"]


class Overlapped:
    """A store during whose answer about the facts something else happens, once."""

    def __init__(self, store: RecalculatorStore, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self._store = store
        self._meanwhile: Callable[[], Awaitable[object]] | None = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def facts(self, user_ids: Collection[str], lesson_ids: Collection[str]) -> Mapping[str, Sequence[Fact]]:
        found = await self._store.facts(user_ids, lesson_ids)
        if (meanwhile := self._meanwhile) is not None:
            self._meanwhile = None
            await meanwhile()
        return found


@pytest.fixture
async def world(world: World) -> World:
    """Three learners in a course of four lessons; the first has one of them."""
    await world.platform.course("course-1", LESSONS)
    for n in range(3):
        await world.platform.enroll(f"enrollment-{n}", f"learner-{n}", "course-1")
    await world.platform.complete("learner-0", "lesson-0")
    return world


async def stored(world: World, enrollment_id: str = "enrollment-0") -> Progress:
    return (await world.store.enrollments([enrollment_id]))[enrollment_id].progress


async def test_a_stale_recalculation_does_not_replace_a_newer_one(world: World) -> None:
    async def somebody_is_faster() -> None:
        await world.platform.complete("learner-0", "lesson-1", "lesson-2")
        await recalculate_enrollments(["enrollment-0"], world.store)

    overlapped: Any = Overlapped(world.store, somebody_is_faster)
    found = await recalculate_enrollments(["enrollment-0", "enrollment-1"], overlapped)

    assert await stored(world) == Progress(3, 4, 75.0)
    assert found["enrollment-0"].after.progress == Progress(3, 4, 75.0)
    assert found["enrollment-0"].after.revision == 1
    assert (await stored(world, "enrollment-1")).total == 4


async def test_a_completion_that_another_stored_keeps_its_moment(world: World) -> None:
    async def the_course_shrinks() -> None:
        await world.platform.course("course-1", ["lesson-0"])
        await recalculate_enrollments(["enrollment-0"], world.store, changed_at=NOW + 9)

    overlapped: Any = Overlapped(world.store, the_course_shrinks)
    await recalculate_enrollments(["enrollment-0"], overlapped)

    assert await stored(world) == Progress(1, 1, 100.0, NOW + 9)


async def test_lessons_that_were_read_before_a_change_are_not_stored_after_it(world: World) -> None:
    async def the_course_is_emptied_which_changes_nothing_that_is_stored() -> None:
        await world.platform.course("course-1", [])
        await recalculate_enrollments(["enrollment-0"], world.store, changed_at=NOW + 9)

    overlapped: Any = Overlapped(world.store, the_course_is_emptied_which_changes_nothing_that_is_stored)
    await recalculate_enrollments(["enrollment-0"], overlapped)

    assert await stored(world) == Progress()


async def test_many_at_once_end_where_the_facts_are_and_store_it_once(world: World) -> None:
    await world.platform.complete("learner-0", "lesson-1", "lesson-2", "lesson-3")

    async def until_it_is_done() -> None:
        with suppress(Transient):
            await recalculate_enrollments(["enrollment-0"], world.store)
            return
        await until_it_is_done()

    await asyncio.gather(*(until_it_is_done() for _ in range(8)))

    enrollment = (await world.store.enrollments(["enrollment-0"]))["enrollment-0"]
    assert (enrollment.progress, enrollment.revision) == (Progress(4, 4, 100.0, NOW), 1)


class Publishing:
    """Publishes, or crashes so many times: before anything goes out, or right after it."""

    def __init__(self, *, before: int = 0, after: int = 0) -> None:
        self._before = before
        self._after = after
        self.ids: list[str] = []

    async def __call__(self, recalculated: Collection[Recalculated]) -> None:
        if self._before:
            self._before -= 1
            raise Transient("crashed before publishing")
        self.ids += [r.after.enrollment_id for r in recalculated]
        if self._after:
            self._after -= 1
            raise Transient("crashed between publishing and the cursor")


@pytest.mark.parametrize(
    ("crash", "told"),
    [("before publishing", [0, 1, 2]), ("between publishing and the cursor", [0, 1, 0, 1, 2])],
)
async def test_a_sweep_that_crashes_is_resumed_where_its_cursor_stands(
    world: World, crash: str, told: list[int]
) -> None:
    publish = Publishing(before=1) if crash == "before publishing" else Publishing(after=1)
    await world.store.request_sweeps({"course-1": NOW + 9})
    [sweep] = await world.store.open_sweeps(10)
    with pytest.raises(Transient):
        await sweep_page(sweep, world.store, publish, page=2, now=NOW)

    while sweeps := await world.store.open_sweeps(10):
        await sweep_page(sweeps[0], world.store, publish, page=2, now=NOW)

    assert publish.ids == [f"enrollment-{n}" for n in told]
    revisions = {e.revision for e in (await world.store.enrollments(publish.ids)).values()}
    assert revisions == {1}
