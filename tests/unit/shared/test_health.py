"""Health: the process, its parts, and answers within bounded time."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter

from shared.errors import Transient
from shared.observability import health
from shared.observability.health import health_router


async def fine() -> None:
    """It answers."""


async def away() -> None:
    raise Transient("it does not answer")


async def silent() -> None:
    await asyncio.Event().wait()


async def asked(
    path: str, *, alive: bool = True, registry: CollectorRegistry | None = None, **checks: Callable[[], Awaitable[None]]
) -> httpx.Response:
    app = FastAPI()
    app.include_router(health_router(alive=lambda: alive, checks=checks, registry=registry or CollectorRegistry()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://service") as client:
        return await client.get(path)


@pytest.mark.parametrize(("alive", "status", "said"), [(True, 200, "ok"), (False, 503, "stuck")])
async def test_liveness_is_the_process_alone(alive: bool, status: int, said: str) -> None:  # noqa: FBT001 - the case
    answer = await asked("/health/live", alive=alive, database=away)
    assert (answer.status_code, answer.json()) == (status, {"status": said})


async def test_ready_is_when_every_part_answers() -> None:
    answer = await asked("/health/ready", broker=fine, database=fine)
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "checks": {"broker": "ok", "database": "ok"}}


async def test_one_part_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_CHECK_SECONDS", 0.01)
    answer = await asked("/health/ready", broker=fine, database=away, keys=silent)
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not ready",
        "checks": {"broker": "ok", "database": "Transient", "keys": "no answer in time"},
    }


async def test_metrics_are_prometheus_text() -> None:
    registry = CollectorRegistry()
    Counter("lesson_progress_example", "An example.", registry=registry).inc()
    answer = await asked("/metrics", registry=registry)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "lesson_progress_example_total 1.0" in answer.text
