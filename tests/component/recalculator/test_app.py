"""The wired service: what it serves, what it measures in the background, what it is set to."""

from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import CollectorRegistry

from services.recalculator.app import build_app
from services.recalculator.handlers import recalculate_enrollments
from services.recalculator.settings import RecalculatorSettings, Settings
from shared.service import Service
from tests.support.fakes_recalculator import FakeRecalculatorStore
from tests.support.key_set import FakeClock

SETTINGS = Settings(
    recalculator=RecalculatorSettings(
        audit_poll_seconds=0.001, audit_settle_seconds=0, ratio_seconds=0.001, ratio_courses=2
    )
)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def service(store: FakeRecalculatorStore, clock: FakeClock, registry: CollectorRegistry) -> Service:
    return build_app(SETTINGS, store=store, clock=clock, registry=registry)


@pytest.fixture
async def http(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=service.http), base_url="http://recalculator"
    ) as client:
        yield client


async def in_the_background(service: Service, name: str) -> None:
    """One turn of the background work of this name."""
    [work] = [work for work in service.background if getattr(work, "__name__", "") == name]
    await work()


def test_it_listens_on_its_own_port_unless_told_otherwise() -> None:
    assert Settings().recalculator.http.port == 8082


async def test_it_answers_that_it_lives_before_anything_is_consumed(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health/live")).status_code == 200


async def test_its_description_holds_operations_alone(http: httpx.AsyncClient) -> None:
    description = (await http.get("/openapi.json")).json()

    assert description["info"]["title"] == "Lesson Progress: recalculator"
    assert set(description["paths"]) == {"/health/live", "/health/ready", "/metrics"}


@pytest.mark.parametrize(
    "metric",
    [
        "lesson_progress_recalculation_duration_seconds_bucket",
        "lesson_progress_recalculation_batch_enrollments_bucket",
        'lesson_progress_propagation_seconds_bucket{le="0.005",stage="progressed"}',
        "lesson_progress_drift_enrollments 0.0",
        "lesson_progress_open_sweeps 0.0",
        "lesson_progress_course_completion_ratio",
    ],
)
async def test_its_metrics_are_there_from_the_start(http: httpx.AsyncClient, metric: str) -> None:
    assert metric in (await http.get("/metrics")).text


async def test_drift_is_counted_in_the_background_and_falls_when_it_is_healed(
    service: Service, store: FakeRecalculatorStore, registry: CollectorRegistry
) -> None:
    await store.complete("learner-1", "lesson-0")

    await in_the_background(service, "audit")
    assert registry.get_sample_value("lesson_progress_drift_enrollments") == 1

    await recalculate_enrollments(["enrollment-1"], store)
    await in_the_background(service, "audit")
    assert registry.get_sample_value("lesson_progress_drift_enrollments") == 0


async def test_completion_ratios_of_the_largest_courses_are_shown_and_those_that_are_gone_are_not(
    service: Service, store: FakeRecalculatorStore, registry: CollectorRegistry
) -> None:
    def ratio(course_id: str) -> float | None:
        return registry.get_sample_value("lesson_progress_course_completion_ratio", {"course_id": course_id})

    await store.enroll("enrollment-2", "learner-2", "course-1")
    await store.enroll("enrollment-3", "learner-1", "course-2")
    await store.complete("learner-2", *[f"lesson-{n}" for n in range(4)])
    await recalculate_enrollments(["enrollment-2"], store)
    await in_the_background(service, "completion_ratios")
    assert (ratio("course-1"), ratio("course-2")) == (0.5, 0.0)

    for n in range(3):
        await store.enroll(f"enrollment-3-{n}", f"learner-{n}", "course-3")
    await in_the_background(service, "completion_ratios")
    assert (ratio("course-1"), ratio("course-2"), ratio("course-3")) == (0.5, None, 0.0)
