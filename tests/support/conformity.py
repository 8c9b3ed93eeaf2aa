"""Whether a record is what its schema, its envelope and its topic's card say, for tests on real brokers."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has none

from shared.contracts.topics import PROGRESS_REPLIES, TOPICS
from tests.support.gateway import Seen

CONTRACTS = Path(__file__).parents[2] / "shared" / "contracts"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_ENVELOPE = {"ce_specversion": b"1.0", "content-type": b"application/json"}
_ALWAYS = {*_ENVELOPE, "ce_id", "ce_type", "ce_source", "ce_time"}
_SOMETIMES = {"ce_correlationid", "ce_causationid", "ce_traceparent"}


@cache
def _schema(message_type: str) -> Draft202012Validator:
    schema = json.loads((CONTRACTS / "schemas" / f"{message_type}.schema.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def conforming(message_type: str, data: Any) -> Any:
    """These data, once they are seen to be what the schema of their type says, with no field beside it."""
    schema = _schema(message_type)
    schema.validate(data)
    assert set(data) <= set(schema.schema["properties"])
    return data


def check_published(record: Seen, service: str) -> None:
    """Look at a record that a service has published: its topic's card, its key, its headers, its data."""
    card = TOPICS[record.topic]
    assert record.type in card.types
    assert service in card.producers
    conforming(record.type, record.data)
    own = _SOMETIMES | ({"correlation-id"} if record.topic == PROGRESS_REPLIES else set())
    assert _ALWAYS <= record.headers.keys() <= _ALWAYS | own
    assert len(record.headers) == len(record.record.headers), "a header stands twice"
    assert _ENVELOPE.items() <= record.headers.items()
    assert record.headers["ce_source"] == f"/services/{service}".encode()
    assert _TIME.fullmatch((record.headers["ce_time"] or b"").decode())
    if card.key in record.data:
        assert record.key == record.data[card.key].encode()


def example(name: str) -> Any:
    """A committed example: its topic, key, headers and value."""
    return json.loads((CONTRACTS / "examples" / f"{name}.json").read_bytes())
