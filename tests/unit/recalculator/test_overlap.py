"""Recalculators that overlap in any order: the last word is what the facts say, and nothing of a completion is lost."""

from collections.abc import Coroutine, Generator
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.recalculator.domain import Enrollment, Fact, recalculate
from services.recalculator.handlers import Overtaken, recalculate_enrollments
from tests.support.fakes_recalculator import FakeRecalculatorStore
from tests.support.issuer import NOW
from tests.support.steps import Steps

LESSONS = [f"lesson-{n}" for n in range(4)]


class _Turn:
    def __await__(self) -> Generator[None, None, None]:
        yield


class Turns(Steps):
    """Every step hands the turn back to the test, which decides who goes next."""

    async def reach(self, name: str) -> None:
        await _Turn()


class Overlap:
    """One enrollment, facts that arrive one by one, and a recalculation on its way for each of them."""

    def __init__(self) -> None:
        self.store = FakeRecalculatorStore(steps=Turns())
        self.running: list[Coroutine[Any, Any, object]] = []
        self.history: list[Enrollment] = []

    async def begin(self) -> None:
        await self.store.course("course-1", LESSONS)
        await self.store.enroll("enrollment-1", "learner-1", "course-1")

    async def arrive(self, lesson_id: str, at: int) -> None:
        """A fact is stored and then its event handled; a record that is there stays as it is."""
        if ("learner-1", lesson_id) not in self.store.records:
            await self.store.complete("learner-1", lesson_id, at=at)
        self.running.append(recalculate_enrollments(["enrollment-1"], self.store))

    async def change(self, lessons: int) -> None:
        """The course loses or gains lessons and is swept."""
        await self.store.course("course-1", LESSONS[:lessons])
        self.running.append(recalculate_enrollments(["enrollment-1"], self.store, changed_at=NOW))

    def step(self, choice: int) -> None:
        """One of the recalculations goes on to its next step; one that gives up is handled again."""
        if not self.running:
            return
        chosen = self.running[choice % len(self.running)]
        try:
            chosen.send(None)
        except StopIteration:
            self.running.remove(chosen)
        except Overtaken:
            self.running.remove(chosen)
            self.running.append(recalculate_enrollments(["enrollment-1"], self.store))
        self.history.append(self.store.stored["enrollment-1"])

    def finish(self) -> Enrollment:
        """Everybody goes on to the end."""
        while self.running:
            self.step(0)
        return self.store.stored["enrollment-1"]


ARRIVAL = st.tuples(st.just("arrive"), st.sampled_from(LESSONS))
CHANGE = st.tuples(st.just("change"), st.integers(0, len(LESSONS)))
STEP = st.tuples(st.just("step"), st.integers(0, 5))


@settings(max_examples=300, deadline=None)
@given(st.lists(ARRIVAL | CHANGE | STEP | STEP | STEP, max_size=60))
async def test_whatever_the_interleaving_the_facts_have_the_last_word(script: list[tuple[str, Any]]) -> None:
    overlap = Overlap()
    await overlap.begin()
    for moment, (act, argument) in enumerate(script):
        if act == "arrive":
            await overlap.arrive(argument, at=NOW + moment)
        elif act == "change":
            await overlap.change(argument)
        else:
            overlap.step(argument)

    last = overlap.finish()

    facts = [Fact(lesson_id, at) for (_, lesson_id), at in overlap.store.records.items()]
    asked = any(act != "step" for act, _ in script)
    assert not asked or recalculate(last, set(overlap.store.catalog), facts) is last
    for earlier, later in zip(overlap.history, overlap.history[1:], strict=False):
        assert later.revision >= earlier.revision
        assert later.revision > earlier.revision or replace(later, sweeps=earlier.sweeps) == earlier
        assert earlier.progress.completed_at in (None, later.progress.completed_at)
