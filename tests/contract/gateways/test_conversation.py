"""Gateways that were not written with this product in mind, in twelve steps against the whole system."""

import secrets

import pytest

from shared.contracts.topics import reply_topic
from shared.kafka.provisioning import create_missing
from tests.support.foreign_gateways import Programs, conversation
from tests.support.system import System

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

STEPS = [
    "completed: ",
    "repeated: recorded once, at ",
    "rejected: 401 Not authenticated",
    "rejected: 401 Not authenticated",
    "rejected: 404 Lesson not found",
    "rejected: 404 Module not found",
    "rejected: 403 Not enrolled in this course",
    "rejected: 422 Preview lessons are not tracked",
    "rejected: 400 Invalid command",
    "answered on progress.replies.",
    "progressed: 33.3333333333333",
    "read over HTTP: 33.3333333333333",
]


@pytest.fixture
async def name(system: System, language: str) -> str:
    """A gateway's name, whose reply topic the operator has made."""
    name = f"{language}-{secrets.token_hex(4)}"
    await create_missing(system.target.settings.kafka, topics=[reply_topic(name)])
    return name


async def test_the_conversation_goes_as_the_contract_says(system: System, programs: Programs, name: str) -> None:
    about, learner = await conversation(system.campus, system.gateway.token)
    address = {"BROKER": system.stack.bootstrap_servers, "HTTP_URL": system.stack.http_url("progress")}

    said = await programs.run("Conversation", {"GATEWAY": name, **address, **about})

    assert (said.code, said.errors) == (0, ""), said.lines
    assert [line[:2].strip() for line in said.lines] == [str(n) for n in range(1, 13)]
    for line, step in zip(said.lines, STEPS, strict=True):
        assert line[3:].startswith(step), line
    [record] = await system.campus.records(learner)
    assert said.lines[0].endswith(record["_id"])


async def test_a_difference_ends_it_with_a_sentence(system: System, programs: Programs, name: str) -> None:
    about, _ = await conversation(system.campus, system.gateway.token)
    address = {"BROKER": system.stack.bootstrap_servers, "HTTP_URL": system.stack.http_url("progress")}
    other = {"PREVIEW_LESSON": about["LESSON_OF_ANOTHER_COURSE"]}

    said = await programs.run("Conversation", {"GATEWAY": name, **address, **about, **other})

    assert said.code == 1
    assert len(said.lines) == 7
    assert said.errors.startswith("Step 8 went otherwise: the ")
    assert "403" in said.errors
    assert "422" in said.errors
    assert said.errors.count("\n") == 1


async def test_a_reply_topic_that_nobody_made_is_named(system: System, programs: Programs) -> None:
    about, _ = await conversation(system.campus, system.gateway.token)
    address = {"BROKER": system.stack.bootstrap_servers, "HTTP_URL": system.stack.http_url("progress")}

    said = await programs.run("Conversation", {"GATEWAY": "nobody", **address, **about})

    assert (said.code, said.lines) == (1, [])
    assert said.errors == "Step 1 went otherwise: the topic progress.replies.nobody is not there\n"


async def test_what_is_not_set_is_named(programs: Programs) -> None:
    said = await programs.run("Conversation", {"BROKER": "127.0.0.1:1"})

    assert said.code == 2
    assert said.errors.startswith("Set HTTP_URL, GATEWAY, USER_ID")
