"""A JSON Schema as it is compared: references inlined, descriptions gone, and no keyword that would be passed over."""

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

#: They say something to people or name the schema; no value is taken or refused for them.
_SAYS = {"$schema", "$id", "$comment", "title", "description", "examples", "example", "deprecated"}
_DEFINES = {"$defs", "definitions"}
#: What the comparison knows the meaning of (docs/contract_files/changes.py).
_COMPARED = {
    "type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "default", "pattern",
    "format", "multipleOf", "uniqueItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength",
    "maxLength", "contentMediaType", "contentEncoding", "minItems", "maxItems", "minProperties", "maxProperties",
}  # fmt: skip


class NotCompared(Exception):
    """A schema holds what the comparison with a release does not know: a change of it would pass in silence."""


def plain(schema: Any, document: Json, at: str = "") -> Json:
    """The schema with what it refers to in `document` in place, and with nothing but what is compared.

    Raises:
        NotCompared: it holds a keyword whose changes are not judged.
    """
    return _plain(schema, document, at or str(document.get("title", "")), ())


def _plain(schema: Any, document: Json, at: str, within: tuple[str, ...]) -> Json:
    if schema is True:
        return {}
    if not isinstance(schema, dict):
        raise _unknown(at, repr(schema))
    if "$ref" in schema:
        return _referred(schema, document, at, within)
    kept = {key: value for key, value in schema.items() if key not in _SAYS | _DEFINES}
    for keyword in kept:
        if keyword not in _COMPARED:
            raise _unknown(at, keyword)
    for keyword in ("items", "additionalProperties"):
        if kept.get(keyword, False) is not False:
            kept[keyword] = _plain(kept[keyword], document, f"{at}[]", within)
    if "properties" in kept:
        kept["properties"] = {
            name: _plain(field, document, f"{at}.{name}", within) for name, field in kept["properties"].items()
        }
    return _choice(kept, document, at, within) if "anyOf" in kept else kept


def _choice(kept: Json, document: Json, at: str, within: tuple[str, ...]) -> Json:
    """A choice with what stands beside it in each of its options, and without a choice within the choice."""
    beside = {key: value for key, value in kept.items() if key not in {"anyOf", "default"}}
    options: list[Json] = []
    for option in (_plain(option, document, at, within) for option in kept["anyOf"]):
        for flat in option.get("anyOf", [option]):
            if twice := sorted(beside.keys() & flat.keys()):
                raise _unknown(at, f"{twice[0]} beside and within an anyOf")
            options.append({**beside, **flat})
    return {"anyOf": options, **{key: kept[key] for key in ("default",) if key in kept}}


def _referred(schema: Json, document: Json, at: str, within: tuple[str, ...]) -> Json:
    """What a reference refers to; what may stand beside it says something, or is the default."""
    reference = schema["$ref"]
    beside = {key: value for key, value in schema.items() if key not in _SAYS | {"$ref"}}
    if unknown := sorted(beside.keys() - {"default"}):
        raise _unknown(at, f"{unknown[0]} beside a $ref")
    if reference in within:
        raise _unknown(at, f"$ref {reference}, which refers to itself")
    if not reference.startswith("#/"):
        raise _unknown(at, f"$ref {reference}, which is another file's")
    found = _at(document, reference.removeprefix("#/").split("/"))
    return _plain(found, document, at, (*within, reference)) | beside


def _at(document: Any, way: Iterable[str]) -> Any:
    for step in way:
        document = document.get(step.replace("~1", "/").replace("~0", "~"))
    return document


def _unknown(at: str, what: str) -> NotCompared:
    return NotCompared(
        f"{at}: the schema holds `{what}`, and nobody would notice a change of it. Say what its changes mean "
        "(docs/contract_files/changes.py and plain.py), or describe the value without it."
    )
