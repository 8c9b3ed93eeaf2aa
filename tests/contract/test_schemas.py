"""The schema files: whole, readable by validators of every language, and as strict as the services are."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]  # it has none
from pydantic import ValidationError

from docs import generate
from docs.contract_files import files
from docs.contract_files.messages import every_message, topic_of
from docs.contract_files.places import ASYNCAPI, ROOT, SCHEMAS, openapi_of, schema_of
from docs.contract_files.schemas import DIALECT
from shared.contracts.topics import SERVICES, TOPICS

TYPES = sorted(every_message())
VALIDATORS: dict[str, Any] = {
    name: Draft202012Validator(json.loads((ROOT / schema_of(name)).read_text()), format_checker=FormatChecker())
    for name in TYPES
}
OF_EVERY_TYPE = pytest.mark.parametrize("message_type", TYPES)


def schema(message_type: str) -> dict[str, Any]:
    read: dict[str, Any] = VALIDATORS[message_type].schema
    return read


def fields(message_type: str) -> dict[str, dict[str, Any]]:
    read: dict[str, dict[str, Any]] = schema(message_type)["properties"]
    return read


def test_every_message_of_every_topic_has_a_schema_and_no_schema_is_left_over() -> None:
    carried = {name for topic in TOPICS.values() for name in topic.types}

    assert {path.name for path in (ROOT / SCHEMAS).iterdir()} == {f"{name}.schema.json" for name in carried}


@OF_EVERY_TYPE
def test_it_is_a_schema_of_draft_2020_12_with_a_name_of_its_own(message_type: str) -> None:
    Draft202012Validator.check_schema(schema(message_type))

    assert schema(message_type)["$schema"] == DIALECT
    assert schema(message_type)["$id"].endswith(f"/{message_type}.schema.json")
    assert schema(message_type)["title"] == every_message()[message_type].__name__


@OF_EVERY_TYPE
def test_everything_in_it_says_what_it_is_and_moments_say_their_unit(message_type: str) -> None:
    assert schema(message_type)["description"].endswith(".")
    for name, field in fields(message_type).items():
        assert field["description"].endswith("."), name
        assert not name.endswith("At") or "epoch milliseconds" in field["description"], name
        assert not name.endswith("Percent") or "percent" in field["description"], name


@OF_EVERY_TYPE
def test_its_key_is_a_field_of_it_or_of_whoever_asked(message_type: str) -> None:
    topic = topic_of(message_type)
    if not topic.commands and topic.name != "progress.replies":
        assert topic.key in fields(message_type)


@OF_EVERY_TYPE
def test_readers_may_pass_over_fields_that_they_do_not_know(message_type: str) -> None:
    [value] = schema(message_type)["examples"]

    assert VALIDATORS[message_type].is_valid({**value, "colour": "green"})


JSON = st.recursive(
    # To a validator 1.0 is a whole number, and Python's expressions end before a last line break: not so the services.
    st.none() | st.booleans() | st.integers() | st.floats(0.1, 0.9) | st.text().filter(lambda t: not t.endswith("\n")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
#: What lies just within a limit, or just outside.
EDGES: list[object] = [
    -1, 0, 1, 99.5, 100, 101, 253_402_300_799_999, 253_402_300_800_000, None, True, [], {}, "", " ",
    "a" * 255, "a" * 256, "a" * 500, "a" * 501, "🎓" * 255, "🎓" * 256, "\0", "\x1f", "a\x7f", "\x80", "\x9f", "\xa0",
    "é\u2028", "issued", "lost", "certificate_ready", "http://a", "https://learn.example.org:80/a%20b?c=d#e",
    "http://[::1]:8083/", "http://", "http:///a", "http://a b", "http://a/%zz", "http://a/é", "http://é", "ftp://a",
    "/a", "a.example", "urn:a:b", "http://a/[", "http://a#b#c",
]  # fmt: skip


def agreed(message_type: str, sent: dict[str, Any]) -> bool:
    """Whether a validator and the message itself are of one mind about a value.

    A null where a field may be left out is promised to nobody, and taken as left out all the same.
    """
    try:
        every_message()[message_type].from_json(json.dumps(sent).encode())
        taken = True
    except ValidationError:
        taken = False
    required = schema(message_type)["required"]
    promised = {name: value for name, value in sent.items() if value is not None or name in required}
    return bool(VALIDATORS[message_type].is_valid(promised) == taken)


@OF_EVERY_TYPE
def test_a_validator_draws_every_limit_where_the_services_draw_it(message_type: str) -> None:
    [value] = schema(message_type)["examples"]
    for name in value:
        assert agreed(message_type, {key: value[key] for key in value if key != name}), name
        for edge in EDGES:
            assert agreed(message_type, {**value, name: edge}), (name, edge)


@OF_EVERY_TYPE
def test_a_field_that_may_be_left_out_is_never_null(message_type: str) -> None:
    [value] = schema(message_type)["examples"]
    for name in fields(message_type).keys() - set(schema(message_type)["required"]):
        assert not VALIDATORS[message_type].is_valid({**value, name: None}), name
        written = every_message()[message_type].from_json(json.dumps({**value, name: None}).encode()).to_json()
        assert name not in json.loads(written)


def formats_of(described: Any) -> Iterator[str]:
    """Every format that a schema asks for, or a document with schemas in it."""
    if isinstance(described, dict):
        if isinstance(described.get("format"), str):
            yield described["format"]
        described = list(described.values())
    if isinstance(described, list):
        for part in described:
            yield from formats_of(part)


def test_every_format_that_is_asked_for_is_one_that_the_tests_can_check() -> None:
    documents = [schema(message_type) for message_type in TYPES]
    documents += [json.loads((ROOT / openapi_of(service)).read_text()) for service in SERVICES]
    documents += [yaml.safe_load((ROOT / ASYNCAPI).read_text())]
    asked = {name for described in documents for name in formats_of(described)}

    assert {"uri", "uri-reference", "date-time"} <= asked
    assert asked <= FormatChecker.checkers.keys()


@given(message_type=st.sampled_from(TYPES), data=st.data())
def test_a_validator_takes_what_the_services_take_and_nothing_else(message_type: str, data: Any) -> None:
    [value] = schema(message_type)["examples"]
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(value)), JSON, max_size=2))
    without = data.draw(st.sets(st.sampled_from(sorted(value)), max_size=1))
    sent = {name: v for name, v in {**value, **changed}.items() if name not in without}

    assert agreed(message_type, sent), sent


class TestFilesThatWereEdited:
    def test_all_that_is_committed_is_what_the_code_says(self) -> None:
        assert list(files.differences(files.generated()).values()) == []

    def test_the_command_finds_nothing_to_do(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert generate.main(["--check"]) == 0
        assert capsys.readouterr().out == ""

    def test_a_file_edited_by_hand_is_named_with_what_to_do(self, tmp_path: Path) -> None:
        place = schema_of("lesson.completed.v1")
        made = {place: "{}\n"}
        files.write(made, tmp_path)
        (tmp_path / place).write_text('{"type": "object"}\n')

        [sentence] = files.differences(made, tmp_path).values()
        assert sentence == (
            f"{place} is not what the code says: it was edited by hand, or the code has changed since. "
            "Change the code (shared/contracts), then run `python -m docs.generate`"
        )
        assert files.write(made, tmp_path) == [place]
        assert files.differences(made, tmp_path) == {}

    def test_a_file_that_is_missing_is_written(self, tmp_path: Path) -> None:
        place = schema_of("lesson.completed.v1")

        [sentence] = files.differences({place: "{}\n"}, tmp_path).values()

        assert sentence == f"{place} is missing: run `python -m docs.generate`"
        assert files.write({place: "{}\n"}, tmp_path) == [place]
        assert (tmp_path / place).read_text() == "{}\n"

    def test_a_file_of_a_message_that_is_gone_is_removed(self, tmp_path: Path) -> None:
        left = schema_of("lesson.forgotten.v1")
        files.write({left: "{}\n"}, tmp_path)

        [sentence] = files.differences({}, tmp_path).values()

        assert sentence.startswith(f"{left} is written by nothing in the code: run `python -m docs.generate`")
        assert files.write({}, tmp_path) == [left]
        assert not (tmp_path / left).exists()
