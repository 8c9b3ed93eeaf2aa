"""A batch of commands: one answer each, in a fixed number of round trips."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from services.progress.domain import Command, Enrollment, Recorded
from services.progress.handlers import course_progress, mark_complete
from services.progress.ports import LearnerInCourse
from shared.contracts.rejections import Rejection
from shared.errors import Transient
from tests.support.builders import ENROLLED_AT, catalog, completion
from tests.support.fakes_progress import FakeProgressStore
from tests.support.issuer import DAY, NOW


def finished(lesson_id: str = "lesson-1", user_id: str = "learner-1", at: int = NOW) -> Command:
    return Command(user_id, lesson_id, at)


@pytest.fixture
def store() -> FakeProgressStore:
    return catalog(
        {"course-1": ["lesson-1", "lesson-2"], "course-2": ["lesson-3"]}, learners=("learner-1", "learner-2")
    )


async def test_a_new_completion_is_recorded_with_its_age(store: FakeProgressStore) -> None:
    [answer] = await mark_complete([finished()], store)
    assert answer == Recorded(completion(), already=False, age=NOW - ENROLLED_AT)
    assert store.facts == {("learner-1", "lesson-1"): completion()}


async def test_a_repeated_one_is_answered_with_the_stored_fact(store: FakeProgressStore) -> None:
    await mark_complete([finished()], store)
    [answer] = await mark_complete([finished(at=NOW + DAY)], store)
    assert answer == Recorded(completion(), already=True, age=NOW - ENROLLED_AT)


async def test_copies_in_one_batch_are_one_record_and_only_the_first_is_new(store: FakeProgressStore) -> None:
    answers = await mark_complete([finished(at=NOW + n) for n in range(3)], store)
    assert [isinstance(a, Recorded) and a.already for a in answers] == [False, True, True]
    assert {a.completion for a in answers if isinstance(a, Recorded)} == {completion()}
    assert store.calls.count("record") == 1


async def test_answers_stand_in_the_order_of_the_commands(store: FakeProgressStore) -> None:
    batch = [
        finished("nowhere"),
        finished("lesson-1"),
        finished("orphan-1"),
        finished("preview-1"),
        finished("lesson-3", "learner-2"),
        finished("lesson-1", "stranger"),
    ]
    answers = await mark_complete(batch, store)
    assert [a.outcome if isinstance(a, Rejection) else a.completion.lesson_id for a in answers] == [
        "lesson_not_found",
        "lesson-1",
        "module_not_found",
        "preview",
        "lesson-3",
        "not_enrolled",
    ]


@pytest.mark.parametrize("size", [1, 10, 500])
async def test_a_batch_of_any_size_costs_three_round_trips_and_one_more_where_some_are_refused(
    store: FakeProgressStore, size: int
) -> None:
    lessons = ["lesson-1", "lesson-2", "lesson-3", "nowhere", "preview-1"]
    await mark_complete([finished(lessons[n % 3], f"learner-{1 + n % 2}") for n in range(size)], store)
    assert store.calls == ["lessons", "enrollments", "record"]

    store.calls.clear()
    await mark_complete([finished(lessons[n % 5], f"learner-{1 + n % 2}") for n in range(size + 4)], store)
    assert store.calls == ["lessons", "enrollments", "record", "recorded"]


async def _removed(store: FakeProgressStore) -> None:
    del store.catalog["lesson-1"]


async def _made_a_preview(store: FakeProgressStore) -> None:
    store.catalog["lesson-1"] = replace(store.catalog["lesson-1"], is_preview=True)


async def _left(store: FakeProgressStore) -> None:
    del store.enrolled[LearnerInCourse("learner-1", "course-1")]


@pytest.mark.parametrize("changed", [_removed, _made_a_preview, _left])
async def test_what_is_recorded_stays_recorded_though_it_would_be_refused_now(
    store: FakeProgressStore, changed: Callable[[FakeProgressStore], Awaitable[None]]
) -> None:
    await mark_complete([finished()], store)
    await changed(store)

    answers = await mark_complete([finished(), finished("lesson-1", "learner-2")], store)

    assert answers[0] == Recorded(completion(), already=True)
    assert isinstance(answers[1], Rejection) or changed is _left


async def test_where_nothing_is_to_be_recorded_nothing_is_written(store: FakeProgressStore) -> None:
    await mark_complete([finished("nowhere"), finished("preview-1")], store)
    assert "record" not in store.calls


async def test_an_enrollment_in_another_course_does_not_count(store: FakeProgressStore) -> None:
    del store.enrolled[LearnerInCourse("learner-1", "course-1")]
    [answer] = await mark_complete([finished("lesson-1")], store)
    assert isinstance(answer, Rejection)
    assert answer.outcome == "not_enrolled"


async def test_two_learners_of_one_lesson_are_two_records(store: FakeProgressStore) -> None:
    answers = await mark_complete([finished(), finished(user_id="learner-2")], store)
    assert [isinstance(a, Recorded) and not a.already for a in answers] == [True, True]
    assert len(store.facts) == 2


async def test_an_enrollment_after_the_marking_has_no_negative_age(store: FakeProgressStore) -> None:
    store.enrolled[LearnerInCourse("learner-1", "course-1")] = Enrollment("enrollment-1", NOW + DAY)
    [answer] = await mark_complete([finished()], store)
    assert isinstance(answer, Recorded)
    assert answer.age == 0


@pytest.mark.parametrize("step", range(3))
async def test_while_the_database_is_away_the_batch_waits_as_a_whole(store: FakeProgressStore, step: int) -> None:
    store.failures = [None] * step + [Transient("away")]
    with pytest.raises(Transient):
        await mark_complete([finished()], store)


async def test_progress_is_read_from_the_facts_of_this_learner_alone(store: FakeProgressStore) -> None:
    await mark_complete([finished("lesson-1"), finished("lesson-2", "learner-2")], store)
    found = await course_progress("learner-1", "course-1", store)
    assert found is not None
    assert found.completed_lesson_ids == ["lesson-1"]


@pytest.mark.parametrize(("user_id", "course_id"), [("stranger", "course-1"), ("learner-1", "nowhere")])
async def test_without_an_enrollment_there_is_no_progress(
    store: FakeProgressStore, user_id: str, course_id: str
) -> None:
    assert await course_progress(user_id, course_id, store) is None
