"""What would break a caller over HTTP, operation by operation."""

from collections.abc import Iterator
from typing import Any

from docs.contract_files.changes import OTHER_FIELDS, Change, Kind, changes
from docs.contract_files.plain import plain
from docs.contract_files.removals import METHODS

Json = dict[str, Any]

_HARMS_CALLERS = {Kind.REMOVED, Kind.NOW_OPTIONAL, Kind.OTHER, Kind.WIDENED}
_REFUSES_CALLERS = {Kind.NEW_REQUIRED, Kind.NOW_REQUIRED, Kind.OTHER, Kind.NARROWED, Kind.REMOVED}
_REMEDY = "Keep it as it was, or serve it under a new /v2 path beside this one."


def http_breaks(service: str, old: Json, new: Json) -> Iterator[str]:
    """What breaks the callers of one service; both are OpenAPI documents."""
    for path, methods in old["paths"].items():
        for method in (m for m in METHODS if m in methods and m in new["paths"].get(path, {})):
            before, after = methods[method], new["paths"][path][method]
            for sentence in (*_answers(before, after, old, new), *_questions(before, after, old, new)):
                yield f"{service}, {method.upper()} {path}: {sentence} This breaks its callers. {_REMEDY}"


def _answers(before: Json, after: Json, old: Json, new: Json) -> Iterator[str]:
    for status, response in before["responses"].items():
        answer = after["responses"].get(status)
        if answer is None:
            yield f"the answer {status} is gone."
            continue
        for header in response.get("headers", {}).keys() - answer.get("headers", {}).keys():
            yield f"the header {header} of the answer {status} is gone."
        for media, content in response.get("content", {}).items():
            if media not in answer.get("content", {}):
                yield f"the answer {status} as {media} is gone."
                continue
            was = plain(content.get("schema", {}), old, f"the answer {status}")
            is_now = plain(answer["content"][media].get("schema", {}), new, f"the answer {status}")
            yield from _changed(was, is_now, _HARMS_CALLERS, f"the answer {status}")


def _questions(before: Json, after: Json, old: Json, new: Json) -> Iterator[str]:
    yield from _changed(_asked(before, old), _asked(after, new), _REFUSES_CALLERS, "what is asked")
    if after.get("security") and not before.get("security"):
        yield "it asks for a token now, and did not before."


def _changed(before: Json, after: Json, kinds: set[Kind], what: str) -> Iterator[str]:
    """Changes of these kinds."""
    for change in changes(before, after):
        if change.kind in kinds:
            yield f"{_field(change)} of {what} {change.says}."


def _field(change: Change) -> str:
    way, _, last = change.field.rpartition(".")
    if last == OTHER_FIELDS:
        return f"every other field of `{way}`" if way else "every other field"
    return f"the field `{change.field}`" if change.field else "the whole"


def _asked(operation: Json, document: Json) -> Json:
    """An operation's parameters and its body as one object."""
    named = {f"{p['in']} {p['name']}": (p["schema"], p) for p in operation.get("parameters", [])}
    body = operation.get("requestBody", {})
    named |= {f"body {media}": (content["schema"], body) for media, content in body.get("content", {}).items()}
    return {
        "type": "object",
        "properties": {name: plain(schema, document, name) for name, (schema, _) in named.items()},
        "required": [name for name, (_, asked) in named.items() if asked.get("required")],
    }
