"""What would break a caller over HTTP, operation by operation."""

from collections.abc import Iterator
from typing import Any

from docs.contract_files.changes import Change, Kind, changes
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
        for media, content in response.get("content", {}).items():
            answer = after["responses"].get(status, {}).get("content", {})
            if media not in answer:
                yield f"the answer {status} as {media} is gone."
                continue
            was = _inlined(content.get("schema", {}), old)
            is_now = _inlined(answer[media].get("schema", {}), new)
            yield from _changed(was, is_now, _HARMS_CALLERS, f"the answer {status}")


def _questions(before: Json, after: Json, old: Json, new: Json) -> Iterator[str]:
    yield from _changed(_asked(before, old), _asked(after, new), _REFUSES_CALLERS, "what is asked")
    if after.get("security") and not before.get("security"):
        yield "it asks for a token now, and did not before."


def _changed(before: Json, after: Json, kinds: set[Kind], what: str) -> Iterator[str]:
    """Changes of these kinds; the value itself is compared as the one field of an object."""
    was, is_now = ({"properties": {"": value}, "required": [""]} for value in (before, after))
    for change in changes(was, is_now):
        if change.kind in kinds:
            yield f"{_field(change)} of {what} {change.says}."


def _field(change: Change) -> str:
    name = change.field.removeprefix(".")
    return f"the field `{name}`" if name else "the whole"


def _asked(operation: Json, document: Json) -> Json:
    """An operation's parameters as one object."""
    parameters = operation.get("parameters", [])
    named = {f"{p['in']} {p['name']}": p for p in parameters}
    return {
        "type": "object",
        "properties": {name: _inlined(p["schema"], document) for name, p in named.items()},
        "required": [name for name, p in named.items() if p.get("required")],
    }


def _inlined(schema: Any, document: Json) -> Any:
    """The schema with every reference replaced by what it refers to; ours refer to nothing that refers back."""
    if isinstance(schema, list):
        return [_inlined(item, document) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        return _inlined(document["components"]["schemas"][name], document)
    return {key: _inlined(value, document) for key, value in schema.items()}
