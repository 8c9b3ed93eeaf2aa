"""Errors over HTTP as `application/problem+json` (RFC 9457), for every service."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from shared.errors import Transient


class Problem(HTTPException):
    """An HTTP error with one clear sentence for whoever called."""


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """One problem document."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Let every error of this application be a problem document."""

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def unreadable(_: Request, error: RequestValidationError) -> JSONResponse:
        fields = ", ".join(".".join(str(part) for part in e["loc"]) for e in error.errors())
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"cannot be read: {fields}")

    @app.exception_handler(Transient)
    async def away(_: Request, __: Exception) -> JSONResponse:
        # Which part it is (database, key set) stands in the log and in /health/ready, and is no caller's business.
        detail = "a part that this answer needs is not there now; try again"
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "1"})

    @app.exception_handler(Exception)
    async def broken(_: Request, __: Exception) -> JSONResponse:
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this is our mistake; it has been logged")
