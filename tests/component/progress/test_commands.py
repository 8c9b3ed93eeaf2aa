"""What becomes of commands: every outcome, its reply, its event, its metrics and its line in the log."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import orjson
import pytest
from aiokafka.errors import KafkaConnectionError
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from services.progress.domain import Enrollment
from services.progress.messaging import ProgressMessages
from services.progress.ports import LearnerInCourse
from shared.contracts.envelope import rfc3339
from shared.contracts.ids import deterministic_id, progress_id
from shared.contracts.topics import LESSON_COMPLETED, PROGRESS_COMMANDS
from shared.kafka.assembly import KafkaSide
from shared.kafka.records import Record
from shared.service import Service
from tests.support.builders import ENROLLED_AT, command, completion, last_header, signed_token
from tests.support.fake_log import FakeLog
from tests.support.fakes_progress import FakeProgressStore
from tests.support.issuer import DAY, MINUTE, NOW, Signer
from tests.support.key_set import FakeClock
from tests.support.process import Process

WEB = "progress.replies.web"
FACT_ID = progress_id("learner-1", "lesson-1")
MARKED = {
    "progressId": FACT_ID,
    "lessonId": "lesson-1",
    "courseId": "course-1",
    "enrollmentId": "learner-1@course-1",
    "completedAt": NOW,
    "alreadyCompleted": False,
}
OUTCOMES = [
    "recorded",
    "already_recorded",
    "not_authenticated",
    "not_enrolled",
    "lesson_not_found",
    "module_not_found",
    "preview",
    "invalid",
]


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as captured:
        yield captured


class Gateway:
    """A gateway of real learners."""

    def __init__(self, log: FakeLog, issuer: Signer) -> None:
        self._log = log
        self._issuer = issuer

    def sends(self, lesson_id: str = "lesson-1", user_id: str = "learner-1", **changed: Any) -> Record:
        named = {"authorization": signed_token(self._issuer, user_id), "headers": [("reply-to", WEB.encode())]}
        [written] = self._log.add(command(lesson_id, user_id, **{**named, **changed}))
        return written

    def hears(self) -> list[tuple[str, dict[str, Any]]]:
        """Every reply, its type and its data."""
        return [(dict(r.headers)["ce_type"].decode(), orjson.loads(r.value)) for r in self._log.read(WEB)]


@pytest.fixture
def gateway(log: FakeLog, issuer: Signer) -> Gateway:
    return Gateway(log, issuer)


class Metrics:
    """The service's metrics as Prometheus reads them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counted(self) -> dict[str, float]:
        """Commands by outcome, where there are any."""
        found = {name: self.of("lesson_progress_commands_total", outcome=name) for name in OUTCOMES}
        return {name: count for name, count in found.items() if count}

    def of(self, name: str, **labels: str) -> float:
        value = self._registry.get_sample_value(name, labels)
        assert value is not None, name
        return value


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry)


async def test_a_completion_is_recorded_published_and_answered(
    gateway: Gateway, process: Process, store: FakeProgressStore, log: FakeLog, metrics: Metrics
) -> None:
    gateway.sends()

    await process.run()

    assert list(store.facts.values()) == [completion()]
    [event] = log.read(LESSON_COMPLETED)
    assert orjson.loads(event.value) == {
        "progressId": FACT_ID,
        "userId": "learner-1",
        "lessonId": "lesson-1",
        "courseId": "course-1",
        "enrollmentId": "learner-1@course-1",
        "completedAt": NOW,
    }
    assert event.key == b"learner-1@course-1"
    assert dict(event.headers)["ce_id"] == deterministic_id("lesson.completed.v1", FACT_ID).encode()
    assert gateway.hears() == [("lesson.marked.v1", MARKED)]
    assert metrics.counted() == {"recorded": 1}


async def test_a_double_click_is_answered_with_the_same_fact_and_published_again(
    gateway: Gateway, process: Process, log: FakeLog, clock: FakeClock, metrics: Metrics
) -> None:
    gateway.sends()
    await process.run()
    clock.move(MINUTE)
    gateway.sends(timestamp=NOW + MINUTE)
    await process.run()

    assert [data for _, data in gateway.hears()] == [MARKED, {**MARKED, "alreadyCompleted": True}]
    events = log.read(LESSON_COMPLETED)
    assert len(events) == 2
    assert len({(e.key, e.value, last_header(e, "ce_id")) for e in events}) == 1
    assert {last_header(e, "ce_time") for e in events} == {rfc3339(NOW)}
    assert metrics.counted() == {"recorded": 1, "already_recorded": 1}


@pytest.mark.parametrize(
    ("sent", "code", "reason", "outcome"),
    [
        ({"authorization": b"Bearer nonsense"}, 401, "Not authenticated", "not_authenticated"),
        ({"lesson_id": "nowhere"}, 404, "Lesson not found", "lesson_not_found"),
        ({"lesson_id": "orphan-1"}, 404, "Module not found", "module_not_found"),
        ({"lesson_id": "preview-1"}, 422, "Preview lessons are not tracked", "preview"),
        ({"user_id": "stranger"}, 403, "Not enrolled in this course", "not_enrolled"),
    ],
)
async def test_each_rejection_has_its_answer_and_writes_nothing(
    gateway: Gateway,
    process: Process,
    store: FakeProgressStore,
    log: FakeLog,
    metrics: Metrics,
    sent: dict[str, Any],
    code: int,
    reason: str,
    outcome: str,
) -> None:
    gateway.sends(**sent)

    await process.run()

    lesson = sent.get("lesson_id", "lesson-1")
    assert gateway.hears() == [("command.rejected.v1", {"code": code, "reason": reason, "lessonId": lesson})]
    assert (store.facts, log.read(LESSON_COMPLETED), log.read("progress.deadletters")) == ({}, [], [])
    assert metrics.counted() == {outcome: 1}
    assert not log.behind([PROGRESS_COMMANDS])


async def test_a_payload_that_cannot_be_read_is_answered_counted_and_buried(
    gateway: Gateway, process: Process, log: FakeLog, metrics: Metrics
) -> None:
    gateway.sends(value=b"{}")

    await process.run()

    assert gateway.hears() == [("command.rejected.v1", {"code": 400, "reason": "Invalid command"})]
    assert len(log.read("progress.deadletters")) == 1
    assert metrics.counted() == {"invalid": 1}


async def test_without_a_reply_to_a_rejection_is_its_counted_line(
    gateway: Gateway, process: Process, log: FakeLog, metrics: Metrics, lines: list[MutableMapping[str, Any]]
) -> None:
    gateway.sends("nowhere", headers=[])
    await process.run()
    assert gateway.hears() == []
    assert metrics.counted() == {"lesson_not_found": 1}
    assert [line["outcome"] for line in lines] == ["lesson_not_found"]


async def test_every_outcome_is_counted_under_its_own_name(
    gateway: Gateway, process: Process, metrics: Metrics
) -> None:
    gateway.sends()
    gateway.sends()
    gateway.sends(authorization=b"Bearer nonsense")
    gateway.sends(user_id="stranger")
    for lesson in ("nowhere", "orphan-1", "preview-1"):
        gateway.sends(lesson)
    gateway.sends(value=b"poison")

    await process.run()

    assert metrics.counted() == dict.fromkeys(OUTCOMES, 1.0)


class TestMeasuring:
    async def test_age_and_propagation_of_a_new_record(
        self, gateway: Gateway, process: Process, clock: FakeClock, metrics: Metrics
    ) -> None:
        gateway.sends(timestamp=NOW)
        clock.move(250)
        await process.run()
        assert metrics.of("lesson_progress_lesson_completion_age_seconds_sum") == (NOW - ENROLLED_AT) / 1000
        assert metrics.of("lesson_progress_propagation_seconds_sum", stage="recorded") == 0.25

    async def test_repeats_are_not_measured(
        self, gateway: Gateway, process: Process, clock: FakeClock, metrics: Metrics
    ) -> None:
        gateway.sends()
        gateway.sends()
        await process.run()
        clock.move(DAY)
        gateway.sends()
        await process.run()
        assert metrics.of("lesson_progress_lesson_completion_age_seconds_count") == 1
        assert metrics.of("lesson_progress_propagation_seconds_count", stage="recorded") == 1

    async def test_a_new_record_whose_event_was_refused_is_counted_once_and_as_new(
        self, gateway: Gateway, process: Process, log: FakeLog, metrics: Metrics
    ) -> None:
        refusals = [KafkaConnectionError(), KafkaConnectionError()]
        process.producer.refuse = lambda topic, _: refusals.pop() if refusals and topic == LESSON_COMPLETED else None
        gateway.sends()
        gateway.sends()

        await process.run()

        assert metrics.counted() == {"recorded": 1, "already_recorded": 1}
        assert metrics.of("lesson_progress_propagation_seconds_count", stage="recorded") == 1
        assert [data["alreadyCompleted"] for _, data in gateway.hears()] == [False, True]
        gateway.sends()
        await process.run()
        assert metrics.counted() == {"recorded": 1, "already_recorded": 2}

    async def test_nothing_is_remembered_of_finished_commands(
        self, gateway: Gateway, process: Process, store: FakeProgressStore, service: Service
    ) -> None:
        store.lost_answers = 1
        for lesson in ("lesson-1", "lesson-1", "lesson-2", "nowhere"):
            gateway.sends(lesson)

        await process.run()

        assert isinstance(service.consuming, KafkaSide)
        messages = service.consuming._handler
        assert isinstance(messages, ProgressMessages)
        assert (messages._unfinished, messages._unanswered) == ({}, {})

    async def test_a_new_record_whose_answer_was_lost_is_counted_once_and_as_new(
        self, gateway: Gateway, process: Process, store: FakeProgressStore, clock: FakeClock, metrics: Metrics
    ) -> None:
        gateway.sends("lesson-2")
        await process.run()
        store.lost_answers = 1
        clock.move(MINUTE)
        for lesson in ("lesson-1", "lesson-1", "lesson-2", "nowhere"):
            gateway.sends(lesson, timestamp=NOW + MINUTE)

        await process.run()

        assert metrics.counted() == {"recorded": 2, "already_recorded": 2, "lesson_not_found": 1}
        assert metrics.of("lesson_progress_propagation_seconds_count", stage="recorded") == 2

    async def test_a_clock_behind_the_broker_s_measures_nothing_negative(
        self, gateway: Gateway, process: Process, metrics: Metrics
    ) -> None:
        gateway.sends(timestamp=NOW + 5000)
        await process.run()
        assert metrics.of("lesson_progress_propagation_seconds_sum", stage="recorded") == 0


class TestTime:
    async def test_completed_at_is_the_command_s_record_time(
        self, gateway: Gateway, process: Process, store: FakeProgressStore, clock: FakeClock
    ) -> None:
        gateway.sends(timestamp=NOW - 5000)
        clock.move(DAY)
        await process.run()
        assert [fact.completed_at for fact in store.facts.values()] == [NOW - 5000]

    async def test_a_token_that_expired_while_its_command_waited_still_counts(
        self, gateway: Gateway, process: Process, clock: FakeClock, metrics: Metrics
    ) -> None:
        gateway.sends(timestamp=NOW)
        clock.move(DAY)
        await process.run()
        assert metrics.counted() == {"recorded": 1}

    async def test_a_token_that_had_expired_when_its_command_came_does_not(
        self, gateway: Gateway, process: Process, metrics: Metrics
    ) -> None:
        gateway.sends(timestamp=NOW + DAY)
        await process.run()
        assert metrics.counted() == {"not_authenticated": 1}

    async def test_a_replayed_command_keeps_its_first_time(
        self, gateway: Gateway, process: Process, store: FakeProgressStore
    ) -> None:
        headers = [("x-dead-letter-timestamp", str(NOW - MINUTE).encode()), ("x-dead-letter-replays", b"1")]
        gateway.sends(topic="progress.replays", headers=headers, timestamp=NOW + DAY)
        await process.run()
        assert [fact.completed_at for fact in store.facts.values()] == [NOW - MINUTE]


class TestTrouble:
    async def test_while_the_database_is_away_nothing_is_answered_counted_or_buried(
        self, gateway: Gateway, process: Process, store: FakeProgressStore, log: FakeLog, metrics: Metrics
    ) -> None:
        gateway.sends()
        store.away = True
        await process.run(batches=30)
        assert (gateway.hears(), metrics.counted(), log.read("progress.deadletters")) == ([], {}, [])

        store.away = False
        await process.run()
        assert metrics.counted() == {"recorded": 1}

    async def test_a_lost_answer_of_the_database_is_one_record(
        self, gateway: Gateway, process: Process, store: FakeProgressStore, metrics: Metrics
    ) -> None:
        gateway.sends()
        store.lost_answers = 1

        await process.run()

        assert len(store.facts) == 1
        assert metrics.counted() == {"recorded": 1}

    async def test_an_enrollment_that_no_message_may_name_takes_only_its_own_commands(
        self, gateway: Gateway, process: Process, store: FakeProgressStore, log: FakeLog, metrics: Metrics
    ) -> None:
        store.enrolled[LearnerInCourse("broken", "course-1")] = Enrollment("e" * 256, ENROLLED_AT)
        gateway.sends("lesson-1")
        gateway.sends("lesson-2", "broken")
        gateway.sends("lesson-3")

        await process.run()

        [letter] = log.read("progress.deadletters")
        assert dict(letter.headers)["x-dead-letter-error"] == b"ValidationError"
        assert {fact.user_id for fact in store.facts.values()} >= {"learner-1"}
        assert len(log.read(LESSON_COMPLETED)) == 2
        assert not log.behind([PROGRESS_COMMANDS])


class TestTheLine:
    async def test_a_recorded_completion_leaves_the_line_that_was_promised(
        self, gateway: Gateway, process: Process, lines: list[MutableMapping[str, Any]]
    ) -> None:
        gateway.sends(partition=1, headers=[("correlation-id", b"click-7")])

        await process.run()

        [line] = lines
        assert isinstance(line.pop("durationMs"), float)
        assert line == {
            "log_level": "info",
            "event": "lesson.completed",
            "topic": "progress.commands",
            "partition": 1,
            "offset": 0,
            "correlationId": "click-7",
            "outcome": "recorded",
            "userId": "learner-1",
            "lessonId": "lesson-1",
            "courseId": "course-1",
            "timestamp": NOW,
        }

    @pytest.mark.parametrize(
        ("sent", "event", "outcome"),
        [
            ({"lesson_id": "nowhere"}, "lesson.complete.v1.lesson_not_found", "lesson_not_found"),
            ({"authorization": b"Bearer x"}, "lesson.complete.v1.not_authenticated", "not_authenticated"),
            ({"value": b"poison"}, "lesson.complete.v1.invalid", "invalid"),
        ],
    )
    async def test_other_records_are_named_by_type_and_outcome(
        self,
        gateway: Gateway,
        process: Process,
        lines: list[MutableMapping[str, Any]],
        sent: dict[str, Any],
        event: str,
        outcome: str,
    ) -> None:
        gateway.sends(**sent)
        await process.run()
        [line] = [line for line in lines if "outcome" in line]
        assert (line["event"], line["outcome"], line["correlationId"]) == (
            event,
            outcome,
            f"learner-1/{sent.get('lesson_id', 'lesson-1')}",
        )

    async def test_every_record_leaves_exactly_one(
        self, gateway: Gateway, process: Process, lines: list[MutableMapping[str, Any]]
    ) -> None:
        for number in range(30):
            gateway.sends(["lesson-1", "nowhere", "preview-1"][number % 3], partition=number % 2)
        await process.run()
        places = [(line["partition"], line["offset"]) for line in lines if "outcome" in line]
        assert sorted(places) == [(p, o) for p in range(2) for o in range(15)]
