"""The headers of a record: CloudEvents 1.0 in binary mode, and what commands, replies and dead letters add."""

from typing import Any

from shared.contracts.envelope import CONTENT_TYPE
from shared.contracts.topics import PROGRESS_REPLIES, Topic

Json = dict[str, Any]


def headers_of(message_type: str, topic: Topic) -> Json:
    """The headers of a message of this type; their values are UTF-8 text, their names lower case."""
    if topic.commands:
        return _object({**_envelope(message_type), **_command()}, required=("ce_type", "authorization"))
    always = ("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type")
    if topic.name == PROGRESS_REPLIES:
        fields = {**_envelope(message_type), **_cause(), **_reply()}
        return _object(fields, required=(*always, "ce_causationid", "correlation-id"))
    return _object({**_envelope(message_type), **_cause()}, required=always)


def dead_letter_headers(*, replayed: bool) -> Json:
    """What is appended to a dead letter's own headers; where a name stands twice, the last one counts."""
    fields = {f"x-dead-letter-{name}": _text(says) for name, says in _DEAD_LETTER.items()}
    required = tuple(fields)
    fields |= {f"x-dead-letter-{name}": _text(says) for name, says in _VALUE_DROPPED.items()}
    if replayed:
        fields["x-dead-letter-replays"] = _text("How often this record has been replayed, this time included.")
        return _object(fields, required=("x-dead-letter-timestamp", "x-dead-letter-replays"))
    fields["x-dead-letter-replays"] = _text("How often this record had been replayed when it died; absent: never.")
    return _object(fields, required=required)


def _envelope(message_type: str) -> Json:
    return {
        "ce_specversion": {"const": "1.0", **_text("The version of CloudEvents.")},
        "ce_id": _text("The message's id. A repeated event or reply has the same id; a command's is its sender's."),
        "ce_type": {"const": message_type, **_text("The message type; it ends in its major version.")},
        "ce_source": {"format": "uri-reference", **_text("Who wrote it: /services/NAME or /gateways/NAME.")},
        "ce_time": {"format": "date-time", **_text("When the fact came to be (RFC 3339).")},
        "content-type": {"const": CONTENT_TYPE, **_text("The value is one JSON object in UTF-8.")},
        "ce_traceparent": _text("W3C Trace Context, copied from the command to what follows from it."),
    }


def _command() -> Json:
    topic_name = {"pattern": r"^progress\.replies(\.[A-Za-z0-9_-]+)*$", "maxLength": 200}
    return {
        "authorization": {
            "pattern": "^[Bb][Ee][Aa][Rr][Ee][Rr] .+$",
            **_text("`Bearer` and a JWT of at most 8 KiB. Who sends the command comes from it and from nothing else."),
        },
        "reply-to": {**topic_name, **_text("The topic for the reply; without it there is none.")},
        # In words: a schema's `maxLength` counts characters.
        "correlation-id": _text("At most 256 bytes; comes back byte for byte, and stands in every log line."),
    }


def _cause() -> Json:
    return {
        "ce_correlationid": _text("What ties together all that followed from one command."),
        "ce_causationid": _text("The `ce_id` of the message that this one follows from."),
    }


def _reply() -> Json:
    return {
        "correlation-id": _text("The command's `correlation-id`, byte for byte; without one, the command's `ce_id`.")
    }


_DEAD_LETTER = {
    "topic": "The topic it was read from.",
    "partition": "The partition it was read from.",
    "offset": "Its offset there.",
    "timestamp": "The record's own time, Unix epoch milliseconds.",
    "group": "The service that could not handle it.",
    "error": "The class of the error; never its message.",
    "attempts": "How often it was tried.",
    "first-failed-at": "When it failed for the first time, Unix epoch milliseconds.",
    "version": "The version of the product.",
}
_VALUE_DROPPED = {
    "value-sha256": "SHA-256 of the value, in hexadecimal, where the record was too large to be kept whole.",
    "value-bytes": "The length of that value in bytes.",
}


def _text(says: str) -> Json:
    return {"type": "string", "description": says}


def _object(fields: Json, *, required: tuple[str, ...]) -> Json:
    return {"type": "object", "properties": fields, "required": [name for name in fields if name in required]}
