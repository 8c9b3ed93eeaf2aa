"""Whether a record is what its schema, its envelope and its topic's card say, for tests on real brokers."""

import json
import re
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has none

from docs.contract_files.places import ASYNCAPI, EXAMPLES, ROOT, schema_of
from shared.contracts.topics import TOPICS
from tests.support.gateway import Seen

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@cache
def _headers(message_type: str) -> Draft202012Validator:
    """The headers of this type, as the AsyncAPI document describes them."""
    document = yaml.load((ROOT / ASYNCAPI).read_text(), Loader=yaml.CSafeLoader)
    return _validator(document["components"]["messages"][message_type]["headers"])


@cache
def _schema(message_type: str) -> Draft202012Validator:
    return _validator(json.loads((ROOT / schema_of(message_type)).read_bytes()))


def _validator(schema: Any) -> Draft202012Validator:
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
    headers = _headers(record.type)
    headers.validate({name: value and value.decode() for name, value in record.headers.items()})
    assert record.headers.keys() <= headers.schema["properties"].keys()
    assert len(record.headers) == len(record.record.headers), "a header stands twice"
    assert record.headers["ce_source"] == f"/services/{service}".encode()
    assert _TIME.fullmatch((record.headers["ce_time"] or b"").decode())
    if card.key in record.data:
        assert record.key == record.data[card.key].encode()


def example(name: str) -> Any:
    """A committed example: its topic, key, headers and value."""
    return json.loads((ROOT / EXAMPLES / f"{name}.json").read_bytes())
