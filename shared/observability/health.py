"""Is the process alive, is it ready: answers within bounded time, whatever is away."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from shared.openapi import LIVENESS, METRICS, READINESS

#: Raises when the part does not answer.
Check = Callable[[], Awaitable[None]]

_CHECK_SECONDS = 2.0


def health_router(*, alive: Callable[[], bool], checks: Mapping[str, Check], registry: CollectorRegistry) -> APIRouter:
    """`/health/live`, `/health/ready` and `/metrics`."""
    router = APIRouter(tags=["operations"])

    @router.get(
        "/health/live", operation_id="getLiveness", summary="Is the process working at all?", responses=LIVENESS
    )
    async def live() -> JSONResponse:
        healthy = alive()
        return JSONResponse({"status": "ok" if healthy else "stuck"}, 200 if healthy else 503)

    @router.get("/health/ready", operation_id="getReadiness", summary="Can it do its work now?", responses=READINESS)
    async def ready() -> JSONResponse:
        answers = dict(zip(checks, await asyncio.gather(*map(_answer, checks.values())), strict=True))
        healthy = all(answer == "ok" for answer in answers.values())
        return JSONResponse({"status": "ok" if healthy else "not ready", "checks": answers}, 200 if healthy else 503)

    @router.get(
        "/metrics",
        operation_id="getMetrics",
        summary="Prometheus' text format",
        response_class=Response,
        responses=METRICS,
    )
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


async def _answer(check: Check) -> str:
    try:
        await asyncio.wait_for(check(), _CHECK_SECONDS)
    except TimeoutError:
        return "no answer in time"
    except Exception as failure:  # noqa: BLE001 - a health check reports whatever is wrong
        return type(failure).__name__
    return "ok"
