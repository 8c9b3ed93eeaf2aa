"""What goes in and what comes out: events, replies, refusals, dead letters, log lines, metrics."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from services.recalculator.domain import Progress
from shared.contracts.ids import deterministic_id
from shared.contracts.topics import (
    COURSE_COMPLETED,
    ENROLLMENT_PROGRESSED,
    LESSON_COMPLETED,
    PROGRESS_REPLIES,
    RECALCULATION_COMMANDS,
    dead_letters_of,
    replays_of,
)
from tests.support.builders import envelope, token
from tests.support.fake_log import FakeLog
from tests.support.fakes_recalculator import ENROLLED_AT, FakeRecalculatorStore
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock
from tests.support.recalculating import (
    Recalculating,
    completed,
    course_changed,
    events,
    header,
    published,
    recalculate_command,
)

LESSONS = [f"lesson-{n}" for n in range(4)]
DEAD_LETTERS = dead_letters_of("recalculator")


def state(**changed: Any) -> dict[str, Any]:
    """The data of `enrollment.progressed.v1` after one of four lessons."""
    return {
        "enrollmentId": "enrollment-1",
        "userId": "learner-1",
        "courseId": "course-1",
        "completed": 1,
        "total": 4,
        "progressPercent": 25.0,
        "completedAt": None,
        "revision": 1,
        **changed,
    }


class TestCompletion:
    async def test_it_moves_the_percentage_and_tells_it(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        await store.complete("learner-1", "lesson-0", at=NOW - 3)
        log.add(completed("lesson-0", at=NOW - 3))

        await recalculator.process.run()

        [event] = log.read(ENROLLMENT_PROGRESSED)
        assert published(log, ENROLLMENT_PROGRESSED) == [state()]
        assert event.key == b"enrollment-1"
        assert header(event, "ce_id") == deterministic_id("enrollment.progressed.v1", "enrollment-1", 1)
        assert header(event, "ce_time") == "2027-01-15T07:59:59.997Z"
        assert header(event, "ce_source") == "/services/recalculator"
        assert header(event, "ce_causationid") == "completed:lesson-0"
        assert log.read(COURSE_COMPLETED) == []

    async def test_the_last_one_completes_the_course(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        await store.complete("learner-1", *LESSONS[:3])
        await store.complete("learner-1", LESSONS[3], at=NOW + 7)
        log.add(completed(LESSONS[3]))

        await recalculator.process.run()

        learner = {"enrollmentId": "enrollment-1", "userId": "learner-1", "courseId": "course-1"}
        assert published(log, ENROLLMENT_PROGRESSED) == [state(completed=4, progressPercent=100.0, completedAt=NOW + 7)]
        assert published(log, COURSE_COMPLETED) == [{**learner, "completedAt": NOW + 7}]
        [event] = log.read(COURSE_COMPLETED)
        assert header(event, "ce_id") == deterministic_id("course.completed.v1", "enrollment-1")
        assert header(event, "ce_time") == "2027-01-15T08:00:00.007Z"

    async def test_a_repeated_one_publishes_the_very_same_events_again(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore, clock: FakeClock
    ) -> None:
        await store.complete("learner-1", *LESSONS)
        log.add(completed(LESSONS[0]))
        await recalculator.process.run()
        first = events(log)
        clock.move(60_000)
        log.add(completed(LESSONS[0]))

        await recalculator.process.run()

        assert len(events(log)) == 2 * len(first) == 4
        assert {(e.key, e.value, header(e, "ce_id"), header(e, "ce_time")) for e in events(log)} == {
            (e.key, e.value, header(e, "ce_id"), header(e, "ce_time")) for e in first
        }
        assert store.stored["enrollment-1"].revision == 1

    async def test_a_completed_course_is_told_again_even_when_its_percentage_has_fallen(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        await store.complete("learner-1", *LESSONS)
        log.add(completed(LESSONS[0]))
        await recalculator.process.run()
        await store.course("course-1", [*LESSONS, "new-0", "new-1", "new-2", "new-3"])
        log.add(completed(LESSONS[0]))

        await recalculator.process.run()

        assert published(log, ENROLLMENT_PROGRESSED)[-1] == state(
            completed=4, total=8, progressPercent=50.0, completedAt=NOW, revision=2
        )
        first, again = log.read(COURSE_COMPLETED)
        assert (first.value, header(first, "ce_id")) == (again.value, header(again, "ce_id"))

    async def test_one_that_changes_nothing_yet_publishes_the_state_at_enrollment(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        await store.enroll("enrollment-2", "learner-1", "course-without-lessons")
        log.add(completed("gone", enrollment_id="enrollment-2"))

        await recalculator.process.run()

        [event] = log.read(ENROLLMENT_PROGRESSED)
        assert published(log, ENROLLMENT_PROGRESSED)[0]["revision"] == 0
        assert header(event, "ce_time") == "2027-01-08T08:00:00.000Z"
        assert ENROLLED_AT == NOW - 7 * 24 * 3600 * 1000

    async def test_one_of_an_enrollment_that_is_not_stored_is_a_dead_letter_and_its_neighbours_go_on(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        await store.complete("learner-1", "lesson-0")
        log.add(completed(enrollment_id="nobody"), completed())

        await recalculator.process.run()

        [letter] = log.read(DEAD_LETTERS)
        assert header(letter, "x-dead-letter-error") == "EnrollmentNotFound"
        assert published(log, ENROLLMENT_PROGRESSED) == [state()]
        assert log.behind([LESSON_COMPLETED]) == {}

    async def test_nothing_of_it_is_lost_while_the_database_is_away(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        await store.complete("learner-1", "lesson-0")
        store.away = True
        log.add(completed())
        await recalculator.process.run(batches=3)
        waiting = log.behind([LESSON_COMPLETED])
        store.away = False

        await recalculator.process.run()

        assert sum(waiting.values()) == 1
        assert published(log, ENROLLMENT_PROGRESSED) == [state()]
        assert (log.read(DEAD_LETTERS), log.behind([LESSON_COMPLETED])) == ([], {})


class TestBatch:
    async def test_several_of_one_enrollment_are_one_recalculation_and_one_event(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        await store.complete("learner-1", *LESSONS[:3])
        log.add(*[completed(lesson_id) for lesson_id in LESSONS[:3]])

        await recalculator.process.run()

        assert store.calls == ["enrollments", "lessons", "facts", "save"]
        [event] = log.read(ENROLLMENT_PROGRESSED)
        assert header(event, "ce_causationid") == "completed:lesson-2"

    async def test_records_in_different_partitions_carry_the_event_each_because_each_may_come_again_alone(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        await store.complete("learner-1", "lesson-0", "lesson-1")
        log.add(completed("lesson-0"), completed("lesson-1", partition=1), recalculate_command())

        await recalculator.process.run()

        assert len({e.value for e in log.read(ENROLLMENT_PROGRESSED)}) == 1
        assert len(log.read(ENROLLMENT_PROGRESSED)) == 3

    async def test_the_partition_whose_event_was_not_acknowledged_waits_and_publishes_it_later(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        refusals = [ConnectionError("lost")]
        recalculator.process.producer.refuse = lambda topic, _: (
            refusals.pop() if topic == ENROLLMENT_PROGRESSED and refusals else None
        )
        await store.complete("learner-1", "lesson-0", "lesson-1")
        log.add(completed("lesson-0"), completed("lesson-1"))

        await recalculator.process.run(batches=1)
        waiting = sum(log.behind([LESSON_COMPLETED]).values())
        nothing_yet = published(log, ENROLLMENT_PROGRESSED)
        await recalculator.process.woken()
        await recalculator.process.run()

        assert (waiting, nothing_yet) == (2, [])
        assert published(log, ENROLLMENT_PROGRESSED) == [state(completed=2, progressPercent=50.0)]
        assert log.behind([LESSON_COMPLETED]) == {}

    async def test_each_enrollment_of_a_batch_has_its_own_events(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        await store.enroll("enrollment-2", "learner-2", "course-1")
        await store.complete("learner-1", "lesson-0")
        await store.complete("learner-2", *LESSONS)
        log.add(completed(), completed("lesson-3", "learner-2", "enrollment-2"))

        await recalculator.process.run()

        percents = {e["enrollmentId"]: e["progressPercent"] for e in published(log, ENROLLMENT_PROGRESSED)}
        assert percents == {"enrollment-1": 25.0, "enrollment-2": 100.0}
        assert [e["enrollmentId"] for e in published(log, COURSE_COMPLETED)] == ["enrollment-2"]


class TestCommands:
    async def test_recalculate_is_answered_with_the_state_it_left(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        await store.complete("learner-1", *LESSONS)
        log.add(recalculate_command())

        await recalculator.process.run()

        [reply] = log.read(PROGRESS_REPLIES)
        assert published(log, PROGRESS_REPLIES) == [
            {"enrollmentId": "enrollment-1", "progressPercent": 100.0, "completedAt": NOW}
        ]
        assert header(reply, "ce_type") == "progress.recalculated.v1"
        assert len(events(log)) == 2

    async def test_recalculate_of_an_enrollment_that_is_not_stored_is_answered_404(
        self, recalculator: Recalculating, log: FakeLog
    ) -> None:
        log.add(recalculate_command("nobody"))

        await recalculator.process.run()

        assert published(log, PROGRESS_REPLIES) == [{"code": 404, "reason": "Enrollment not found"}]
        assert (events(log), log.read(DEAD_LETTERS)) == ([], [])
        assert recalculator.process.names == ["enrollment_not_found"]

    @pytest.mark.parametrize("message", ["progress.recalculate.v1", "course.changed.v1"])
    async def test_whoever_is_no_operator_is_refused_and_nothing_is_done(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore, message: str
    ) -> None:
        headers = envelope(message, authorization=token("learner-1"), reply_to=PROGRESS_REPLIES)
        log.append(RECALCULATION_COMMANDS, b'{"enrollmentId":"enrollment-1","courseId":"course-1"}', headers=headers)

        await recalculator.process.run()

        assert published(log, PROGRESS_REPLIES) == [{"code": 403, "reason": "Operator role required"}]
        assert (store.calls, events(log)) == ([], [])

    async def test_a_changed_course_is_stored_as_a_sweep_at_its_record_time_and_not_answered(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        await recalculator.sweeps.run()
        log.add(course_changed(timestamp=NOW + 9), course_changed("unknown", partition=1))
        store.calls.clear()

        await recalculator.process.run()

        assert store.calls == ["request_sweeps"]
        assert {s.course_id: s.requested_at for s in await store.open_sweeps(9)} == {
            "course-1": NOW + 9,
            "unknown": NOW,
        }
        assert (log.read(PROGRESS_REPLIES), events(log)) == ([], [])
        assert recalculator.requested.is_set()

    async def test_dead_letters_that_are_replayed_are_handled_like_the_originals(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        original = completed(enrollment_id="enrollment-2")
        log.add(original)
        await recalculator.process.run()
        await store.enroll("enrollment-2", "learner-1", "course-1")
        await store.complete("learner-1", "lesson-0")
        log.append(replays_of("recalculator"), original.value, key=original.key, headers=original.headers)

        await recalculator.process.run()

        assert published(log, ENROLLMENT_PROGRESSED) == [state(enrollmentId="enrollment-2")]


class TestLogs:
    async def test_each_record_says_what_it_moved(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore, clock: FakeClock
    ) -> None:
        await store.complete("learner-1", "lesson-0")
        log.add(completed())
        clock.move(50)

        with capture_logs() as lines:
            await recalculator.process.run()
            log.add(recalculate_command())
            await recalculator.process.run()

        handled = [line for line in lines if line["event"] == "progress.recalculated"]
        said = [
            (li["enrollmentId"], li["oldPercent"], li["newPercent"], li["timestamp"], li["outcome"]) for li in handled
        ]
        assert said == [
            ("enrollment-1", 0.0, 25.0, NOW + 50, "recalculated"),
            ("enrollment-1", 25.0, 25.0, NOW + 50, "unchanged"),
        ]

    async def test_refusals_and_sweeps_have_their_own_words(self, recalculator: Recalculating, log: FakeLog) -> None:
        log.add(recalculate_command("nobody"), course_changed())

        with capture_logs() as lines:
            await recalculator.process.run()

        assert [line["event"] for line in lines] == [
            "progress.recalculate.v1.enrollment_not_found",
            "course.changed.v1.sweep_requested",
        ]
        assert lines[1]["courseId"] == "course-1"


class TestMetrics:
    async def test_propagation_is_measured_for_facts_that_moved_a_percentage_just_now(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore, clock: FakeClock
    ) -> None:
        await store.complete("learner-1", "lesson-0", "lesson-1")
        log.add(completed("lesson-0", at=NOW), completed("lesson-1", at=NOW), completed("lesson-1", at=NOW))
        clock.move(1500)
        metric = recalculator.process.metric

        for _ in range(2):
            await recalculator.process.run()
            assert metric("lesson_progress_propagation_seconds_count", stage="progressed") == 2
            assert metric("lesson_progress_propagation_seconds_sum", stage="progressed") == 3.0
            log.add(completed("lesson-0"), recalculate_command(), course_changed())
            await recalculator.sweeps.run()

    async def test_a_repeat_in_a_course_that_grew_is_no_new_fact(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        await store.complete("learner-1", "lesson-0")
        log.add(completed())
        await recalculator.process.run()
        await store.course("course-1", [*LESSONS, "new-0"])
        log.add(completed())

        await recalculator.process.run()

        assert store.stored["enrollment-1"].progress == Progress(1, 5, 20.0)
        assert recalculator.process.metric("lesson_progress_propagation_seconds_count", stage="progressed") == 1

    async def test_an_old_repeat_beside_a_new_fact_of_the_same_enrollment_is_not_measured(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore, clock: FakeClock
    ) -> None:
        await store.complete("learner-1", "lesson-0", at=NOW)
        log.add(completed("lesson-0", at=NOW))
        await recalculator.process.run()
        clock.move(10_000_000)
        await store.complete("learner-1", "lesson-1", at=NOW + 9_999_990)
        log.add(completed("lesson-0", at=NOW), completed("lesson-1", at=NOW + 9_999_990))

        await recalculator.process.run()

        metric = recalculator.process.metric
        assert metric("lesson_progress_propagation_seconds_count", stage="progressed") == 2
        assert metric("lesson_progress_propagation_seconds_sum", stage="progressed") == pytest.approx(0.01)

    async def test_every_batch_is_measured_with_its_number_of_enrollments(
        self, recalculator: Recalculating, log: FakeLog, store: FakeRecalculatorStore
    ) -> None:
        await store.enroll("enrollment-2", "learner-2", "course-1")
        log.add(completed(), completed(), completed("lesson-0", "learner-2", "enrollment-2"))

        await recalculator.process.run()

        metric = recalculator.process.metric
        assert metric("lesson_progress_recalculation_duration_seconds_count") == 1
        assert metric("lesson_progress_recalculation_batch_enrollments_sum") == 2
