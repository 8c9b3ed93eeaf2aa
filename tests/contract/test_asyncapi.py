"""The AsyncAPI document: the parser of the AsyncAPI project reads it, and finds in it what the services do."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]  # it has none

from docs.contract_files.asyncapi import as_yaml, document
from docs.contract_files.messages import ANSWERS, every_message
from docs.contract_files.places import ASYNCAPI, ROOT, schema_of
from services.certificates.messaging import ACCEPTS as CERTIFICATES
from services.progress.messaging import ACCEPTS as PROGRESS
from services.recalculator.messaging import ACCEPTS as RECALCULATOR
from shared.contracts.topics import SERVICES, TOPICS
from shared.kafka.records import Accepts
from tests.support.node import node_missing, program_of
from tests.support.parts import needs

ACCEPTED: dict[str, dict[str, Accepts]] = {
    "progress": dict(PROGRESS),
    "recalculator": dict(RECALCULATOR),
    "certificates": dict(CERTIFICATES),
}
DOCUMENT = ROOT / ASYNCAPI
#: The parser knows a later version of AsyncAPI, which adds nothing for Kafka and which fewer tools read.
KNOWN = {"asyncapi-latest-version"}
READ_SECONDS = 60

Json = dict[str, Any]
Read = Callable[[Path], Json]


@pytest.fixture(scope="module")
def read() -> Iterator[Read]:
    """What the parser makes of a document."""
    needs(node_missing())
    with program_of(Path(__file__).parent / "tools") as program:

        def parsed(file: Path) -> Json:
            done = subprocess.run(  # noqa: S603 - a program of our own
                ("node", program / "asyncapi.cjs", file),  # noqa: S607 - whichever is installed
                capture_output=True,
                text=True,
                timeout=READ_SECONDS,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            answer: Json = json.loads(done.stdout)
            return answer

        yield parsed


@pytest.fixture(scope="module")
def understood(read: Read) -> Json:
    return read(DOCUMENT)


def by_id(things: list[Json]) -> dict[str, Json]:
    return {thing["id"]: thing for thing in things}


def test_the_parser_finds_no_error_and_nothing_to_warn_of(understood: Json) -> None:
    assert [found for found in understood["found"] if found["code"] not in KNOWN] == []
    assert {found["severity"] for found in understood["found"]} <= {"information", "hint"}


def test_the_parser_does_find_what_is_wrong(read: Read, tmp_path: Path) -> None:
    broken = document()
    broken["operations"]["progressSendsLessonCompletedV1"]["action"] = "whisper"
    broken["operations"]["certificatesSendsCertificateIssuedV1"]["messages"] = [
        {"$ref": "#/channels/lesson.completed/messages/lesson.completed.v1"}
    ]
    file = tmp_path / "broken.yaml"
    file.write_text(as_yaml(broken))

    errors = [found for found in read(file)["found"] if found["severity"] == "error"]

    assert {found["path"].split(".")[1] for found in errors} == {
        "progressSendsLessonCompletedV1",
        "certificatesSendsCertificateIssuedV1",
    }


def test_every_topic_is_a_channel_with_its_card_and_private_replies_have_a_parameter(understood: Json) -> None:
    channels = by_id(understood["channels"])
    written = yaml.safe_load(DOCUMENT.read_text())["channels"]

    assert channels.keys() == {*TOPICS, "progress.replies.gateway", "replies"}
    for name, topic in TOPICS.items():
        binding = written[name]["bindings"]["kafka"]
        assert channels[name]["address"] == name
        assert binding["partitions"] == topic.partitions
        assert binding["topicConfiguration"]["retention.ms"] == topic.retention_ms
        assert binding["topicConfiguration"]["max.message.bytes"] == topic.max_bytes
        assert (written[name]["x-producers"], written[name]["x-consumers"]) == (
            list(topic.producers),
            list(topic.consumers),
        )
    assert channels["progress.replies.gateway"]["address"] == "progress.replies.{gateway}"
    assert channels["progress.replies.gateway"]["parameters"] == ["gateway"]
    assert channels["replies"]["address"] is None


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_receives_what_it_accepts_as_its_group_and_answers_where_the_command_says(
    understood: Json, service: str
) -> None:
    received = {
        operation["messages"][0]: operation
        for operation in understood["operations"]
        if operation["action"] == "receive" and operation["group"] == service
    }
    replay = received.pop("replay")

    assert received.keys() == ACCEPTED[service].keys()
    assert replay["channels"] == [f"{service}.replays"]
    for name, operation in received.items():
        assert operation["channels"] == [t.name for t in TOPICS.values() if name in t.types][:1]
        assert bool(operation["replies"]) == ACCEPTED[service][name].token
        assert operation["replies"] == ANSWERS.get(name, [])
        assert operation["replyTo"] == ("$message.header#/reply-to" if operation["replies"] else None)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_sends_its_events_and_its_dead_letters(understood: Json, service: str) -> None:
    sent = {
        (o["channels"][0], o["messages"][0]) for o in understood["operations"] if o["id"].startswith(f"{service}Sends")
    }
    events = {
        (topic.name, name)
        for topic in TOPICS.values()
        if service in topic.producers and topic.name not in {"progress.replies", f"{service}.deadletters"}
        for name in topic.types
    }

    assert sent == {*events, (f"{service}.deadletters", "dead-letter")}


def test_every_reply_that_there_is_answers_a_command() -> None:
    assert {reply for replies in ANSWERS.values() for reply in replies} == set(TOPICS["progress.replies"].types)
    assert ANSWERS.keys() == {name for accepts in ACCEPTED.values() for name, a in accepts.items() if a.token}


def test_every_message_has_its_fields_its_headers_its_key_and_an_example(understood: Json) -> None:
    messages = by_id(understood["messages"])

    assert messages.keys() == {*every_message(), "dead-letter", "replay"}
    for name, model in every_message().items():
        message = messages[name]
        assert message["fields"] == [field.alias for field in model.model_fields.values()]
        assert message["examples"] >= 1
        assert {"ce_id", "ce_type", "ce_source", "ce_time", "content-type", "ce_traceparent"} <= set(message["headers"])
        if any(name in accepts and accepts[name].token for accepts in ACCEPTED.values()):
            assert message["required"] == ["ce_type", "authorization"]
            assert {"reply-to", "correlation-id"} <= set(message["headers"])
        else:
            assert {"ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time"} <= set(message["required"])
    assert messages["command.rejected.v1"]["examples"] == 10
    assert messages["lesson.complete.v1"]["key"] == "userId"
    assert messages["course.changed.v1"]["key"] == "courseId"
    assert messages["progress.recalculate.v1"]["key"] == "enrollmentId"
    assert {"ce_causationid", "correlation-id"} <= set(messages["lesson.marked.v1"]["required"])


def test_what_is_copied_byte_for_byte_is_not_said_to_be_text() -> None:
    messages = document()["components"]["messages"]
    copied = ["dead-letter", "replay", *TOPICS["progress.replies"].types]

    assert {name for name, message in messages.items() if "type" not in message["bindings"]["kafka"]["key"]} == {
        *copied
    }
    for name in copied:
        assert "any bytes, or none (null)" in messages[name]["bindings"]["kafka"]["key"]["description"]
    for message in messages.values():
        # It would count characters, and bytes are what is limited.
        assert "maxLength" not in message["headers"]["properties"].get("correlation-id", {})


@pytest.mark.parametrize("name", [*every_message(), "dead-letter", "replay"])
def test_examples_are_as_their_headers_and_payloads_are_described(name: str) -> None:
    described = document()["components"]
    message = described["messages"][name]
    payload = described["schemas"].get(name, {})

    for example in message["examples"]:
        headers = Draft202012Validator(message["headers"], format_checker=FormatChecker())
        assert list(headers.iter_errors(example["headers"])) == []
        assert example["headers"].keys() <= message["headers"]["properties"].keys()
        assert list(Draft202012Validator(payload).iter_errors(example["payload"])) == []


def test_payloads_are_the_schema_files() -> None:
    own = {"$schema", "$id", "$comment", "examples"}
    for name, payload in yaml.safe_load(DOCUMENT.read_text())["components"]["schemas"].items():
        schema = json.loads((ROOT / schema_of(name)).read_text())
        assert payload == {key: value for key, value in schema.items() if key not in own}


def test_both_ways_to_reach_a_broker_are_described() -> None:
    written = yaml.safe_load(DOCUMENT.read_text())
    schemes = written["components"]["securitySchemes"]

    assert {server["protocol"] for server in written["servers"].values()} == {"kafka", "kafka-secure"}
    assert "security" not in written["servers"]["plain"]
    assert written["servers"]["secure"]["security"] == [{"$ref": "#/components/securitySchemes/password"}]
    assert schemes["password"]["type"] == "scramSha512"
    assert (schemes["token"]["type"], schemes["token"]["scheme"]) == ("http", "bearer")
