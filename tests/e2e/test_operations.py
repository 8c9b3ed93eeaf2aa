"""What operators see: health, metrics, logs, graceful ends."""

import json

import pytest

from ops.stacks import SERVICES
from shared.contracts.topics import Service
from tests.support.campus import Campus
from tests.support.eventually import eventually
from tests.support.gateway import Gateway
from tests.support.system import System

_COMMON = {"service", "event", "topic", "partition", "offset", "correlationId", "outcome", "durationMs", "timestamp"}


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_is_live_and_ready_and_describes_itself(gateway: Gateway, service: str) -> None:
    assert (await gateway.get(service, "/health/live")).json() == {"status": "ok"}
    ready = (await gateway.get(service, "/health/ready")).json()
    assert ready == {"status": "ok", "checks": dict.fromkeys(ready["checks"], "ok")}
    assert {"broker", "database"} <= set(ready["checks"])
    assert (await gateway.get(service, "/openapi.json")).json()["openapi"].startswith("3.1")


async def test_the_metrics_of_the_contract_are_exposed_and_move(gateway: Gateway, campus: Campus) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)
    before = await gateway.metric("progress", 'lesson_progress_commands_total{outcome="recorded"}')
    await gateway.complete(learner.user_id, course.lessons[0])
    await gateway.complete(learner.user_id, course.lessons[0])
    await gateway.certificate(learner.enrollment_id)

    assert await gateway.metric("progress", 'lesson_progress_commands_total{outcome="recorded"}') == before + 1
    for service, sample in (
        ("progress", 'lesson_progress_commands_total{outcome="already_recorded"}'),
        ("progress", "lesson_progress_lesson_completion_age_seconds_count"),
        ("progress", 'lesson_progress_propagation_seconds_count{stage="recorded"}'),
        ("recalculator", "lesson_progress_recalculation_duration_seconds_count"),
        ("recalculator", "lesson_progress_recalculation_batch_enrollments_count"),
        ("recalculator", 'lesson_progress_propagation_seconds_count{stage="progressed"}'),
        ("certificates", 'lesson_progress_certificates_total{outcome="issued"}'),
        ("certificates", 'lesson_progress_propagation_seconds_count{stage="certificate"}'),
    ):
        assert await gateway.metric(service, sample) > 0, sample
    for service, name in (
        ("progress", "lesson_progress_replies_dropped_total"),
        ("progress", "lesson_progress_dead_letters_total"),
        ("progress", "lesson_progress_consumer_lag_records"),
        ("progress", "lesson_progress_consumer_lag_seconds"),
        ("recalculator", "lesson_progress_course_completion_ratio"),
        ("recalculator", "lesson_progress_drift_enrollments"),
        ("progress", "faststream_received_messages_total"),
    ):
        assert name.removesuffix("_total") in (await gateway.get(service, "/metrics")).text, name


async def test_each_handled_record_is_one_json_line_with_the_seeds_fields_and_no_secret(
    gateway: Gateway, campus: Campus, system: System
) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)
    token = gateway.token(learner.user_id)
    await gateway.complete(learner.user_id, course.lessons[0], token=token)
    await gateway.certificate(learner.enrollment_id)

    # An event is seen before the line about it is written.
    await eventually(
        lambda: all(learner.user_id in system.stack.log_path(service).read_text() for service in SERVICES), within=30
    )
    texts = {service: system.stack.log_path(service).read_text() for service in SERVICES}
    lines = {s: [json.loads(line) for line in t.splitlines() if line.startswith("{")] for s, t in texts.items()}

    def line(service: Service, event: str, **fields: object) -> dict[str, object]:
        found = [x for x in lines[service] if x["event"] == event and fields.items() <= x.items()]
        assert len(found) == 1, (service, event, fields)
        return dict(found[0])

    completed = line("progress", "lesson.completed", userId=learner.user_id)
    assert _COMMON | {"userId", "lessonId", "courseId"} <= set(completed)
    recalculated = line("recalculator", "progress.recalculated", enrollmentId=learner.enrollment_id)
    assert _COMMON | {"oldPercent", "newPercent"} <= set(recalculated)
    assert (recalculated["oldPercent"], recalculated["newPercent"]) == (0, 100)
    triggered = line("certificates", "certificate.triggered", userId=learner.user_id)
    assert _COMMON | {"courseId"} <= set(triggered)
    for text in texts.values():
        assert token not in text
        assert f"{learner.user_id}@example.org" not in text


async def test_sigterm_ends_every_service_cleanly_and_nothing_is_handled_twice_by_its_successor(
    gateway: Gateway, campus: Campus, system: System
) -> None:
    course = await campus.course(2)
    learner = await campus.learner(course)
    await gateway.complete(learner.user_id, course.lessons[0])
    await gateway.progressed(learner.enrollment_id, completed=1)

    codes = await system.restart_services()

    assert codes == [0, 0, 0]
    await gateway.complete(learner.user_id, course.lessons[1])
    await gateway.progressed(learner.enrollment_id, completed=2)
    mine = learner.enrollment_id.encode()
    assert len(gateway.seen("lesson.completed", lambda s: s.key == mine)) == 2
