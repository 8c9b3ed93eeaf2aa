"""The messages of the document: payload, headers, key and examples of each type, and of dead letters."""

from typing import Any

from docs.contract_files.asyncapi.headers import dead_letter_headers, headers_of
from docs.contract_files.messages import every_message, topic_of
from docs.contract_files.places import schema_of
from docs.contract_files.records import DEAD_LETTER, REPLAY, examples, examples_of
from docs.contract_files.schemas import body
from shared.contracts.topics import PROGRESS_REPLIES, TOPICS, Topic
from shared.contracts.values import Message

Json = dict[str, Any]

BINDING = "0.5.0"
AS_RECEIVED = "as received"
#: Keys that are copied from whatever came.
_ANY_BYTES = {AS_RECEIVED, TOPICS[PROGRESS_REPLIES].key}


def messages() -> Json:
    """Every message by its type."""
    return {name: _message(model) for name, model in every_message().items()} | {
        DEAD_LETTER: _repair(
            DEAD_LETTER,
            "A record that a service could not handle: key and value byte for byte.",
            "A replay that died again keeps the position of the first time. "
            "What ends in the header `x-dead-letter-discarded-at` is no letter but an operator's mark beside one.",
        ),
        REPLAY: _repair(REPLAY, "A dead letter sent again, byte for byte; it is handled as what it was at first."),
    }


def schemas() -> Json:
    """The payloads by their message types: the same as the schema files."""
    return {name: body(model) for name, model in every_message().items()}


def key_of(model: type[Message], topic: Topic) -> str:
    """What the key of a record of this type is."""
    fields = {str(field.alias) for field in model.model_fields.values()}
    choices = topic.key.split(" or ")
    return next(choice for choice in choices if len(choices) == 1 or choice in fields)


def _message(model: type[Message]) -> Json:
    topic = topic_of(model.TYPE)
    kind = "reply" if topic.name == PROGRESS_REPLIES else "command" if topic.commands else "event"
    correlation = "ce_correlationid" if kind == "event" else "correlation-id"
    return {
        "name": model.TYPE,
        "title": model.__name__,
        "summary": (model.__doc__ or "").splitlines()[0],
        "description": f"Its schema as a file of its own: `{schema_of(model.TYPE)}`.",
        "tags": [{"name": kind}],
        "contentType": "application/json",
        "correlationId": {"location": f"$message.header#/{correlation}"},
        "headers": headers_of(model.TYPE, topic),
        "payload": {"$ref": f"#/components/schemas/{model.TYPE}"},
        "bindings": _bindings(key_of(model, topic)),
        "examples": [_example(name, record) for name, record in examples_of(model.TYPE).items() if _own(record, topic)],
    }


def _own(record: Json, topic: Topic) -> bool:
    """Whether a record stands where its message is meant for; dead letters hold their message's type too."""
    return str(record["topic"]).startswith(topic.name)


def _repair(name: str, *says: str) -> Json:
    record = examples()[name]
    headers = {key: value for key, value in record["headers"].items() if key.startswith("x-")}
    return {
        "name": name,
        "title": "".join(part.title() for part in name.split("-")),
        "summary": says[0],
        "description": " ".join(
            ["Its own headers come first, as received; a token among them is for operators alone.", *says[1:]]
        ),
        "tags": [{"name": "repair"}],
        "contentType": "application/octet-stream",
        "headers": dead_letter_headers(replayed=name == REPLAY),
        "payload": {"description": "Any bytes; none at all where the record was too large to be kept whole."},
        "bindings": _bindings(AS_RECEIVED),
        "examples": [{"name": name, "headers": headers, "payload": record["value"]}],
    }


def _bindings(key: str) -> Json:
    if key in _ANY_BYTES:
        # No schema language has a type for bytes.
        schema = {"title": key, "description": f"The record's key: {key}; any bytes, or none (null)."}
    else:
        schema = {"type": "string", "title": key, "description": f"The record's key: {_says(key)}, UTF-8."}
    return {"kafka": {"key": schema, "bindingVersion": BINDING}}


def _says(key: str) -> str:
    return f"the value of `{key}`" if key != "userId" else "the learner's id"


def _example(name: str, record: Json) -> Json:
    return {"name": name, "headers": record["headers"], "payload": record["value"]}
