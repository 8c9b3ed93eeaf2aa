"""The audit: every stored percentage that is not what the facts say, and nothing that is only on its way."""

from dataclasses import replace
from typing import Any

import pytest

from services.recalculator.domain import Difference, Progress
from services.recalculator.handlers import differences, recalculate_enrollments
from tests.support.fakes_recalculator import FakeRecalculatorStore
from tests.support.issuer import NOW

DONE = Progress(2, 2, 100.0, NOW)


@pytest.fixture
async def store() -> FakeRecalculatorStore:
    """Five enrollments, all of them right; the last one is completed."""
    fake = FakeRecalculatorStore()
    await fake.course("course-1", ["lesson-0", "lesson-1"])
    for n in range(5):
        await fake.enroll(f"enrollment-{n}", f"learner-{n}", "course-1")
        await fake.complete(f"learner-{n}", "lesson-0")
    await fake.complete("learner-4", "lesson-1")
    await recalculate_enrollments(list(fake.stored), fake)
    return fake


async def nothing_happens() -> None:
    """The time in which what is on its way arrives."""


async def found(store: FakeRecalculatorStore, **changed: Any) -> list[Difference]:
    options: dict[str, Any] = {"page": 2, "settle": nothing_happens, **changed}
    return [difference async for difference in differences(store, **options)]


async def test_a_healthy_system_has_none(store: FakeRecalculatorStore) -> None:
    assert await found(store) == []


async def test_an_enrollment_that_was_never_recalculated_has_none(store: FakeRecalculatorStore) -> None:
    await store.enroll("enrollment-5", "learner-5", "course-1")

    assert await found(store) == []


async def test_a_fact_that_was_never_counted_is_one(store: FakeRecalculatorStore) -> None:
    await store.complete("learner-3", "lesson-1")

    [difference] = await found(store)

    assert difference == Difference("enrollment-3", Progress(1, 2, 50.0), DONE)


async def test_a_completion_on_its_way_is_none(store: FakeRecalculatorStore) -> None:
    await store.complete("learner-3", "lesson-1")
    await store.complete("learner-2", "lesson-1")

    async def arrives() -> None:
        await recalculate_enrollments(["enrollment-3"], store)

    assert [d.enrollment_id for d in await found(store, settle=arrives)] == ["enrollment-2"]


async def test_whoever_keeps_learning_meanwhile_is_none(store: FakeRecalculatorStore) -> None:
    await store.course("course-1", [f"lesson-{n}" for n in range(4)])
    await recalculate_enrollments(list(store.stored), store)
    await store.complete("learner-3", "lesson-2")

    async def goes_on() -> None:
        await recalculate_enrollments(["enrollment-3"], store)
        await store.complete("learner-3", "lesson-3")

    assert await found(store, settle=goes_on) == []


async def test_nothing_is_waited_for_when_nothing_was_found(store: FakeRecalculatorStore) -> None:
    assert await found(store, settle=None) == []


async def test_many_are_settled_page_by_page_and_each_is_found_once(store: FakeRecalculatorStore) -> None:
    for n in range(4):
        await store.complete(f"learner-{n}", "lesson-1")
    compared: list[int] = []
    settled: list[int] = []

    async def settle() -> None:
        settled.append(compared[-1])

    differing = await found(store, settle=settle, on_progress=lambda done, _: compared.append(done))

    assert [d.enrollment_id for d in differing] == [f"enrollment-{n}" for n in range(4)]
    assert settled == [2, 4]


async def test_few_wait_for_each_other_and_are_settled_once(store: FakeRecalculatorStore) -> None:
    for n in (0, 3, 4):
        store.stored[f"enrollment-{n}"] = replace(store.stored[f"enrollment-{n}"], progress=Progress(0, 2))
    settled: list[None] = []

    async def settle() -> None:
        settled.append(None)

    assert len(await found(store, page=4, settle=settle)) == 3
    assert len(settled) == 1


async def test_progress_is_told_page_by_page(store: FakeRecalculatorStore) -> None:
    heard: list[tuple[int, int]] = []

    await found(store, on_progress=lambda compared, total: heard.append((compared, total)))

    assert heard == [(2, 5), (4, 5), (5, 5)]


async def test_nothing_is_changed(store: FakeRecalculatorStore) -> None:
    wrong = replace(store.stored["enrollment-1"], progress=Progress(0, 2))
    store.stored["enrollment-1"] = wrong
    store.calls.clear()

    [difference] = await found(store)

    assert difference.expected == Progress(1, 2, 50.0)
    assert store.stored["enrollment-1"] == wrong
    assert "save" not in store.calls
