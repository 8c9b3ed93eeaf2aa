"""The worker that carries out sweeps beside the loop: woken at once, resumable, never ahead of its acknowledgements."""

import pytest
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs

from shared.contracts.topics import COURSE_COMPLETED, ENROLLMENT_PROGRESSED
from shared.errors import Fatal, Transient
from tests.support.fake_log import FakeLog
from tests.support.fakes_recalculator import FakeRecalculatorStore
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock
from tests.support.recalculating import Recalculating, completed, course_changed, events, header, published


@pytest.fixture
async def store(store: FakeRecalculatorStore) -> FakeRecalculatorStore:
    """Five learners who have three of four lessons."""
    for n in range(1, 6):
        await store.enroll(f"enrollment-{n}", f"learner-{n}", "course-1")
        await store.complete(f"learner-{n}", "lesson-0", "lesson-1", "lesson-2", at=NOW - 5)
    return store


async def test_a_changed_course_reaches_every_enrollment_without_a_cause(
    recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
) -> None:
    await store.course("course-1", ["lesson-0", "lesson-1", "lesson-2"])
    log.add(course_changed(timestamp=NOW))

    await recalculator.run()

    assert {(e["enrollmentId"], e["progressPercent"]) for e in published(log, ENROLLMENT_PROGRESSED)} == {
        (f"enrollment-{n}", 100.0) for n in range(1, 6)
    }
    assert [e["completedAt"] for e in published(log, COURSE_COMPLETED)] == [NOW] * 5
    assert {header(e, "ce_causationid") for e in events(log)} == {None}
    assert await store.open_sweeps(9) == []


async def test_unfinished_sweeps_of_an_earlier_process_are_taken_up_at_once(
    log: FakeLog, store: FakeRecalculatorStore, clock: FakeClock
) -> None:
    await store.request_sweeps({"course-1": NOW})

    successor = Recalculating(log, store, clock)
    assert successor.requested.is_set()
    await successor.sweeps.run()

    assert len(published(log, ENROLLMENT_PROGRESSED)) == 5


async def test_sweeps_that_another_replica_was_told_of_are_found_by_looking(
    recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
) -> None:
    await recalculator.sweeps.run()
    await store.request_sweeps({"course-1": NOW})
    assert not recalculator.requested.is_set()

    await recalculator.sweeps.run()

    assert len(published(log, ENROLLMENT_PROGRESSED)) == 5


async def test_several_courses_take_turns_so_that_a_large_one_holds_up_nobody(
    recalculator: Recalculating, store: FakeRecalculatorStore
) -> None:
    await store.enroll("small-1", "learner-1", "course-2")
    await store.request_sweeps({"course-1": NOW, "course-2": NOW})

    with capture_logs() as lines:
        await recalculator.sweeps.run()

    assert [line["courseId"] for line in lines] == ["course-1", "course-2", "course-1", "course-1"]


class TestACourseThatCannotBeSwept:
    @pytest.fixture
    async def store(self, store: FakeRecalculatorStore) -> FakeRecalculatorStore:
        """Its sweep stands before that of a course that can."""
        store.broken["course-0"] = KeyError("userId")
        await store.request_sweeps({"course-0": NOW, "course-1": NOW})
        return store

    async def test_it_holds_up_no_other_and_its_failure_is_seen_in_the_end(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        with pytest.raises(KeyError, match="userId"):
            await recalculator.sweeps.run()

        assert [sweep.course_id for sweep in await store.open_sweeps(9)] == ["course-0"]
        assert len(published(log, ENROLLMENT_PROGRESSED)) == 5

    async def test_it_is_logged_counted_and_tried_once_a_run(
        self, recalculator: Recalculating, store: FakeRecalculatorStore
    ) -> None:
        with capture_logs() as lines:
            for _ in range(2):
                recalculator.requested.set()
                with pytest.raises(KeyError):
                    await recalculator.sweeps.run()

        failed = [line for line in lines if line["event"] == "course.sweep_failed"]
        assert [(line["courseId"], line["reason"]) for line in failed] == [("course-0", "KeyError")] * 2
        assert recalculator.process.metric("lesson_progress_sweep_failures_total") == 2
        assert recalculator.process.metric("lesson_progress_open_sweeps") == 1

    async def test_many_of_them_do_not_fill_the_places_of_the_others(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("services.recalculator.messaging.sweeping._SWEEPS_AT_ONCE", 1)

        with pytest.raises(KeyError):
            await recalculator.sweeps.run()

        assert len(published(log, ENROLLMENT_PROGRESSED)) == 5

    async def test_it_goes_on_when_it_can_be_read_again(
        self, recalculator: Recalculating, store: FakeRecalculatorStore
    ) -> None:
        with pytest.raises(KeyError):
            await recalculator.sweeps.run()
        store.broken.clear()

        await recalculator.sweeps.run()

        assert await store.open_sweeps(9) == []

    async def test_a_service_that_cannot_work_at_all_stops_at_once(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        store.broken["course-0"] = Fatal("the database refuses this service's user")

        with pytest.raises(Fatal):
            await recalculator.sweeps.run()

        assert published(log, ENROLLMENT_PROGRESSED) == []


async def test_a_refused_event_leaves_the_cursor_and_the_page_is_repeated(
    recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
) -> None:
    refusals = [KafkaConnectionError()]
    recalculator.process.producer.refuse = lambda _, value: (
        refusals.pop() if refusals and b"enrollment-4" in (value or b"") else None
    )
    await store.request_sweeps({"course-1": NOW})

    with pytest.raises(Transient):
        await recalculator.sweeps.run()
    [sweep] = await store.open_sweeps(9)
    assert sweep.cursor == "enrollment-2"

    recalculator.requested.set()
    await recalculator.sweeps.run()
    assert {e["enrollmentId"] for e in published(log, ENROLLMENT_PROGRESSED)} == {
        f"enrollment-{n}" for n in range(1, 6)
    }
    assert {e["revision"] for e in published(log, ENROLLMENT_PROGRESSED)} == {1}


async def test_a_completion_in_the_middle_of_a_sweep_is_kept(
    recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
) -> None:
    await store.request_sweeps({"course-1": NOW})
    await store.complete("learner-4", "lesson-3", at=NOW + 1)
    log.add(completed("lesson-3", "learner-4", "enrollment-4"))

    await recalculator.run()

    assert store.stored["enrollment-4"].progress.completed_at == NOW + 1
    assert store.stored["enrollment-4"].revision == 1


async def test_the_gauge_shows_how_many_courses_are_still_to_be_done(
    recalculator: Recalculating, store: FakeRecalculatorStore
) -> None:
    await store.enroll("small-1", "learner-1", "course-2")
    await store.request_sweeps({"course-1": NOW, "course-2": NOW})
    recalculator.process.producer.refuse = lambda *_: KafkaConnectionError()
    with pytest.raises(Transient):
        await recalculator.sweeps.run()
    assert recalculator.process.metric("lesson_progress_open_sweeps") == 2

    recalculator.process.producer.refuse = lambda *_: None
    await recalculator.sweeps.run()
    assert recalculator.process.metric("lesson_progress_open_sweeps") == 0


async def test_each_page_is_one_log_line(recalculator: Recalculating, store: FakeRecalculatorStore) -> None:
    await store.request_sweeps({"course-1": NOW})

    with capture_logs() as lines:
        await recalculator.sweeps.run()

    assert [(line["event"], line["enrollments"], line["changed"]) for line in lines] == [
        ("course.swept", 2, 2),
        ("course.swept", 2, 2),
        ("course.swept", 1, 1),
    ]
