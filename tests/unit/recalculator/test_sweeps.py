"""Sweeping a changed course: page by page, resumable, harmless when repeated or overlapped."""

from collections.abc import Collection
from dataclasses import dataclass, field

import pytest

from services.recalculator.domain import Progress, Recalculated, Sweep
from services.recalculator.handlers import request_sweeps, sweep_page
from shared.errors import Transient
from tests.support.fakes_recalculator import FakeRecalculatorStore
from tests.support.issuer import NOW

CHANGED = NOW + 5_000
LATER = CHANGED + 5_000


@dataclass
class Published:
    """What a sweep published, page by page; each page refused while there are refusals."""

    pages: list[dict[str, Progress]] = field(default_factory=list)
    refusals: int = 0

    async def __call__(self, recalculated: Collection[Recalculated]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Transient("the broker is away")
        self.pages.append({r.after.enrollment_id: r.after.progress for r in recalculated})


@pytest.fixture
async def store() -> FakeRecalculatorStore:
    fake = FakeRecalculatorStore()
    await fake.course("course-1", ["lesson-0", "lesson-1"])
    for n in range(5):
        await fake.enroll(f"enrollment-{n}", f"learner-{n}", "course-1")
        await fake.complete(f"learner-{n}", "lesson-0")
    await fake.enroll("enrollment-elsewhere", "learner-0", "course-2")
    return fake


async def swept(store: FakeRecalculatorStore, publish: Published, *, page: int = 2) -> None:
    while sweeps := await store.open_sweeps(10):
        for sweep in sweeps:
            await sweep_page(sweep, store, publish, page=page, now=LATER)


async def test_every_enrollment_of_the_course_is_recalculated_and_published_in_the_order_of_ids(
    store: FakeRecalculatorStore,
) -> None:
    published = Published()
    await request_sweeps([("course-1", CHANGED)], store)

    await swept(store, published)

    assert [list(page) for page in published.pages] == [
        ["enrollment-0", "enrollment-1"],
        ["enrollment-2", "enrollment-3"],
        ["enrollment-4"],
    ]
    assert {e.progress.percent for e in store.stored.values() if e.course_id == "course-1"} == {50.0}
    assert store.stored["enrollment-elsewhere"].revision == 0
    assert store.sweeps["course-1"].finished_at == LATER


async def test_whoever_has_every_lesson_that_is_left_is_completed_at_the_time_of_the_change(
    store: FakeRecalculatorStore,
) -> None:
    await store.course("course-1", ["lesson-0"])
    await request_sweeps([("course-1", CHANGED)], store)

    await swept(store, Published())

    assert store.stored["enrollment-3"].progress == Progress(1, 1, 100.0, CHANGED)


async def test_unchanged_enrollments_are_published_too_because_a_crash_may_have_come_between(
    store: FakeRecalculatorStore,
) -> None:
    published = Published()
    for _ in range(2):
        await request_sweeps([("course-1", CHANGED)], store)
        await swept(store, published, page=10)

    assert published.pages[0] == published.pages[1]


@pytest.mark.parametrize("course_id", ["course-without-enrollments", "unknown"])
async def test_a_course_without_enrollments_is_finished_at_once(store: FakeRecalculatorStore, course_id: str) -> None:
    published = Published()
    await request_sweeps([(course_id, CHANGED)], store)

    [sweep] = await store.open_sweeps(10)
    store.calls.clear()
    await sweep_page(sweep, store, published, page=2, now=LATER)

    assert store.calls == ["enrollments_after", "advance_sweep"]
    assert (await store.open_sweeps(10), published.pages) == ([], [])
    assert store.sweeps[course_id].finished_at == LATER


async def test_the_cursor_stays_until_the_page_is_published(store: FakeRecalculatorStore) -> None:
    published = Published(refusals=1)
    await request_sweeps([("course-1", CHANGED)], store)
    [sweep] = await store.open_sweeps(10)

    with pytest.raises(Transient):
        await sweep_page(sweep, store, published, page=2, now=LATER)

    assert await store.open_sweeps(10) == [sweep]
    await swept(store, published)
    assert [len(page) for page in published.pages] == [2, 2, 1]


async def test_a_newer_change_starts_from_the_beginning_and_is_not_finished_by_the_older_sweep(
    store: FakeRecalculatorStore,
) -> None:
    published = Published()
    await request_sweeps([("course-1", CHANGED)], store)
    [first] = await store.open_sweeps(10)
    await sweep_page(first, store, published, page=4, now=LATER)
    [second] = await store.open_sweeps(10)
    await request_sweeps([("course-1", LATER)], store)

    await sweep_page(second, store, published, page=4, now=LATER)

    assert await store.open_sweeps(10) == [Sweep("course-1", LATER, revision=2)]


async def test_replicas_that_overlap_finish_the_sweep_together(store: FakeRecalculatorStore) -> None:
    one, other = Published(), Published()
    await request_sweeps([("course-1", CHANGED)], store)
    [sweep] = await store.open_sweeps(10)

    await sweep_page(sweep, store, one, page=2, now=LATER)
    await sweep_page(sweep, store, other, page=2, now=LATER)

    assert one.pages == other.pages
    [moved] = await store.open_sweeps(10)
    assert moved.cursor == "enrollment-1"
    assert {e.revision for e in store.stored.values() if e.enrollment_id <= "enrollment-1"} == {1}


async def test_of_several_changes_of_a_course_in_a_batch_the_latest_counts(store: FakeRecalculatorStore) -> None:
    await request_sweeps([("course-1", LATER), ("course-2", NOW), ("course-1", CHANGED)], store)

    assert store.calls == ["request_sweeps"]
    assert {s.course_id: s.requested_at for s in await store.open_sweeps(10)} == {"course-1": LATER, "course-2": NOW}


async def test_no_change_asks_the_store_for_nothing(store: FakeRecalculatorStore) -> None:
    await request_sweeps([], store)

    assert store.calls == []
