"""The example records: each is what its schema, its message and the services themselves say."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]  # it has none
from structlog.testing import capture_logs

from docs.contract_files.asyncapi.messages import key_of
from docs.contract_files.messages import every_message, topic_of
from docs.contract_files.places import EXAMPLES, ROOT, schema_of
from docs.contract_files.records import DEAD_LETTER, REPLAY, TOKEN, examples_of
from docs.contract_files.story import refusals
from shared.contracts import rejections
from shared.contracts.gateways import LessonComplete
from shared.contracts.rejections import Rejection
from shared.contracts.topics import SERVICES, TOPICS, consumed_by
from shared.kafka.admission import Admission
from shared.kafka.records import Record
from tests.support.builders import record, token
from tests.support.fake_verifier import FakeVerifier
from tests.support.key_set import FakeClock
from tests.support.published import REPLIES, everything_published

FILES = {path.stem: path for path in sorted((ROOT / EXAMPLES).glob("*.json"))}
REPAIRS = {DEAD_LETTER, REPLAY}
MESSAGES = sorted(FILES.keys() - REPAIRS)
REFUSALS = [name for name in MESSAGES if name.startswith("command.rejected.v1.")]


def example(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(FILES[name].read_text())
    return read


def as_record(example: dict[str, Any], *, authorization: bytes) -> Record:
    """The record that an example shows, with a token that stands."""
    headers = {name: text.encode() for name, text in example["headers"].items()}
    if "authorization" in headers:
        headers["authorization"] = authorization
    value = json.dumps(example["value"]).encode()
    return record(example["topic"], key=example["key"].encode(), value=value, headers=headers.items())


def test_there_is_an_example_of_every_message_and_of_every_refusal() -> None:
    modules = [rejections, *(import_module(f"services.{service}.domain") for service in SERVICES)]
    modules += [import_module(f"services.{service}.messaging") for service in SERVICES]
    reasons = {(r.code, r.reason) for module in modules for r in vars(module).values() if isinstance(r, Rejection)}

    assert {example(name)["headers"]["ce_type"] for name in MESSAGES} == set(every_message())
    assert {(example(name)["value"]["code"], example(name)["value"]["reason"]) for name in REFUSALS} == reasons
    assert {(refusal.code, refusal.reason) for _, refusal in refusals()} == reasons


def test_a_message_without_an_example_and_a_type_without_a_message_are_told_where_they_belong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(LookupError, match=r"lesson\.started\.v1 has no example: add one to docs/contract_files/story"):
        examples_of("lesson.started.v1")
    monkeypatch.setattr(LessonComplete, "TYPE", "lesson.finished.v1")
    with pytest.raises(LookupError, match=r"lesson\.complete\.v1 has no message: add one to shared/contracts"):
        every_message()


@pytest.mark.parametrize("name", MESSAGES)
def test_a_validator_finds_nothing_wrong_with_its_value(name: str) -> None:
    shown = example(name)
    schema = json.loads((ROOT / schema_of(shown["headers"]["ce_type"])).read_text())
    formats = FormatChecker()

    assert list(Draft202012Validator(schema, format_checker=formats).iter_errors(shown["value"])) == []


@pytest.mark.parametrize("name", MESSAGES)
def test_its_message_reads_it_and_writes_it_again(name: str) -> None:
    shown = example(name)
    message = every_message()[shown["headers"]["ce_type"]].from_json(json.dumps(shown["value"]).encode())

    assert json.loads(message.to_json()) == shown["value"]


@pytest.mark.parametrize("name", MESSAGES)
def test_it_stands_in_the_topic_that_carries_its_type(name: str) -> None:
    shown = example(name)
    topic = topic_of(shown["headers"]["ce_type"])

    assert shown["topic"] == (REPLIES if topic.name == "progress.replies" else topic.name)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_admits_every_example_that_it_reads(service: str) -> None:
    accepts = import_module(f"services.{service}.messaging").ACCEPTS
    read = [example(name) for name in MESSAGES if example(name)["topic"] in consumed_by(service)]
    records = [
        as_record(e, authorization=token("learner-maya", operator=accepts[e["headers"]["ce_type"]].operator))
        for e in read
    ]

    deliveries = await Admission(service, accepts, FakeVerifier(), FakeClock()).admit(records)

    assert {e["headers"]["ce_type"] for e in read} == set(accepts)
    assert [delivery.outcome for delivery in deliveries] == [None] * len(read)


async def test_events_replies_and_refusals_are_what_the_services_write() -> None:
    with capture_logs():
        written = (await everything_published()).by_type()

    answers = {
        (value["code"], value["reason"], "lessonId" in value) for value in _values(written["command.rejected.v1"])
    }
    shown = {(value["code"], value["reason"], "lessonId" in value) for value in (example(n)["value"] for n in REFUSALS)}
    assert answers == shown
    for name in (
        name for name in MESSAGES if not TOPICS.get(example(name)["topic"], TOPICS["lesson.completed"]).commands
    ):
        headers, value = example(name)["headers"], example(name)["value"]
        real = written[headers["ce_type"]]
        assert list(headers) in [[key for key, _ in r.headers] for r in real], name
        assert headers["ce_source"].encode() in {dict(r.headers)["ce_source"] for r in real}, name
        assert list(value) in [list(v) for v in _values(real)], name
        assert {r.topic for r in real} == {example(name)["topic"]}, name


async def test_keys_are_the_fields_that_are_described_as_keys() -> None:
    with capture_logs():
        written = (await everything_published()).by_type()

    for name, model in every_message().items():
        key = key_of(model, topic_of(name))
        shown = [example(n) for n in MESSAGES if example(n)["headers"]["ce_type"] == name]
        keyed = [(e["key"], e["value"]) for e in shown]
        keyed += [((r.key or b"").decode(), v) for r, v in zip(written[name], _values(written[name]), strict=True)]
        for found, value in keyed:
            assert found == value.get(key, found), name
            assert found, name


def _values(records: list[Record]) -> list[dict[str, Any]]:
    return [json.loads(r.value or b"") for r in records]


def test_a_dead_letter_holds_the_command_and_what_went_wrong_and_its_replay_holds_both() -> None:
    letter, replay = example(DEAD_LETTER), example(REPLAY)

    assert letter["topic"] == "progress.deadletters"
    assert letter["headers"]["x-dead-letter-error"] == "InvalidPayload"
    assert replay["headers"].items() >= letter["headers"].items()
    assert (replay["key"], replay["value"]) == (letter["key"], letter["value"])


@pytest.mark.parametrize("path", FILES.values(), ids=FILES.keys())
def test_no_example_holds_a_token(path: Path) -> None:
    authorization = example(path.stem)["headers"].get("authorization", TOKEN)

    assert authorization == TOKEN
