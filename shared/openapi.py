"""What the descriptions of all HTTP sides say alike: errors as problem documents, and the bearer token."""

from http import HTTPStatus
from typing import Any

from fastapi.security import HTTPBearer

#: What a route answers besides its result, by status, as FastAPI takes it.
Responses = dict[int | str, dict[str, Any]]

#: The token is read and judged elsewhere (shared.bearer); this only says that there is one.
BEARER = HTTPBearer(
    scheme_name="token",
    bearerFormat="JWT",
    description="The learner's own token, a JWT of the platform's issuer: the same as on a command.",
    auto_error=False,
)
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "An error as RFC 9457 describes it.",
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Always `about:blank`."},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What is the matter, as a sentence for whoever called."},
    },
    "required": ["type", "title", "status", "detail"],
}
_HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Always `Bearer`."},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "Seconds until it is worth another try."},
}

_STATUS = {"type": "string", "description": "`ok`, or what is the matter."}
_CHECKS = {
    "type": "object",
    "description": "What each part the service needs answered: `ok`, or what is the matter.",
    "additionalProperties": {"type": "string"},
}


def _health(well: str, ill: str, properties: dict[str, Any]) -> Responses:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    content = {"application/json": {"schema": schema}}
    return {200: {"description": well, "content": content}, 503: {"description": ill, "content": content}}


#: What the operations' routes answer.
LIVENESS = _health("It is.", "It is stuck: start it again.", {"status": _STATUS})
READINESS = _health("It can.", "A part that it needs is away.", {"status": _STATUS, "checks": _CHECKS})
METRICS: Responses = {
    200: {"description": "Every metric of the service.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


def problems(**details: str) -> Responses:
    """The problem documents of a route, each by its status' name in lower case and its own sentence."""
    named = {HTTPStatus[name.upper()]: detail for name, detail in details.items()}
    every = {HTTPStatus.SERVICE_UNAVAILABLE: "a part that this answer needs is not there now; try again", **named}
    return {int(status): _response(status, detail) for status, detail in sorted(every.items())} | {
        "default": {"description": "Every other error", **_content()}
    }


def header(description: str) -> dict[str, Any]:
    """One header of an answer."""
    return {"description": description, "schema": {"type": "string"}}


def _response(status: HTTPStatus, detail: str) -> dict[str, Any]:
    example = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
    described = {"description": f"{detail[0].upper()}{detail[1:]}", **_content(example)}
    if headers := _HEADERS.get(status):
        described["headers"] = {name: header(says) for name, says in headers.items()}
    return described


def _content(example: dict[str, Any] | None = None) -> dict[str, Any]:
    media = {"schema": _PROBLEM} if example is None else {"schema": _PROBLEM, "example": example}
    return {"content": {"application/problem+json": media}}
