"""The JSON Schema of a message, draft 2020-12, in a stable order."""

import json
from typing import Any

from shared.contracts.values import Message

Json = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ADDRESS = "https://lesson-progress/schemas/"
#: What a person wants to read first.
_FIRST = ("$schema", "$id", "$comment", "title", "description", "type", "format", "properties", "required")


def schema(model: type[Message], example: Json) -> Json:
    """The schema of this message's value."""
    made = body(model)
    made["$schema"] = DIALECT
    made["$id"] = f"{_ADDRESS}{model.TYPE}.schema.json"
    made["$comment"] = "Readers ignore fields that are not named here; a minor change only adds optional ones."
    made["examples"] = [example]
    return ordered(made)


def body(model: type[Message]) -> Json:
    """What the message's fields are, without the schema's own identity."""
    made = model.model_json_schema(by_alias=True)
    made["properties"] = {name: _optional(field) for name, field in made["properties"].items()}
    return ordered(made)


def _optional(field: Json) -> Json:
    """A field that may be left out is never null; that the services read null all the same is no promise."""
    if field.get("default", ...) is not None:
        return field
    [named] = [branch for branch in field.pop("anyOf") if branch["type"] != "null"]
    del field["default"]
    return {**named, **field}


def ordered(schema: Json) -> Json:
    """The same schema with its keywords in a reader's order; the properties stay in the message's."""
    keys = [*(key for key in _FIRST if key in schema), *(key for key in schema if key not in _FIRST)]
    return {key: _properties(schema[key]) if key == "properties" else _within(schema[key]) for key in keys}


def _within(value: Any) -> Any:
    if isinstance(value, list):
        return [_within(item) for item in value]
    return ordered(value) if isinstance(value, dict) else value


def _properties(fields: Json) -> Json:
    return {name: ordered(field) for name, field in fields.items()}


def as_json(value: Any) -> str:
    """A file's text."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
