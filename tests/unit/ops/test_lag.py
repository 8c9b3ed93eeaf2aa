"""`lag` says by service and topic what is still to be handled, and waits until it is nothing."""

import json
import os
import signal
from collections.abc import Mapping
from typing import Self

import pytest

from shared.contracts.topics import SERVICES, consumed_by
from tests.unit.ops.conftest import Command

#: What is left, each time that a service is asked for.
Left = dict[str, list[Mapping[str, int]]]


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> Left:
    """A broker in memory; the last of what is left is left for good."""
    left: Left = {service: [dict.fromkeys(consumed_by(service), 0)] for service in SERVICES}

    class Offsets:
        def __init__(self, _: object) -> None: ...

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def behind_in(self, service: str) -> Mapping[str, int]:
            return left[service].pop(0) if len(left[service]) > 1 else left[service][0]

        async def members(self, _: str) -> int:
            return 1

    monkeypatch.setattr("ops.offsets.GroupOffsets", Offsets)
    monkeypatch.setattr("ops.commands.lagging._ASK_SECONDS", 0.01)
    return left


def with_commands(count: int) -> Mapping[str, int]:
    return dict.fromkeys(consumed_by("progress"), 0) | {"progress.commands": count}


def test_every_topic_of_every_service_has_a_line(command: Command, left: Left) -> None:
    left["progress"] = [with_commands(1_234)]

    ended = command("lag")

    assert (ended.code, ended.err) == (0, "")
    lines = [tuple(line.split()) for line in ended.out.splitlines()]
    assert [line[:2] for line in lines] == [(service, t) for service in SERVICES for t in consumed_by(service)]
    assert ("progress", "progress.commands", "1,234") in lines


def test_one_service_alone_can_be_asked_for_and_read_by_a_program(command: Command, left: Left) -> None:
    left["progress"] = [with_commands(7)]

    ended = command("lag", "progress", "--json")

    assert ended.code == 0
    found = json.loads(ended.out)
    assert {one["service"] for one in found} == {"progress"}
    assert {"service": "progress", "topic": "progress.commands", "records": 7} in found


def test_it_waits_until_nothing_is_left(command: Command, left: Left) -> None:
    left["progress"] = [with_commands(7), with_commands(3), with_commands(0)]

    ended = command("lag", "--wait", "--json")

    assert ended.code == 0
    assert not any(one["records"] for one in json.loads(ended.out))
    assert len(left["progress"]) == 1, "it did not wait"


def test_ctrl_c_while_it_waits_changes_nothing(command: Command, left: Left, monkeypatch: pytest.MonkeyPatch) -> None:
    left["progress"] = [with_commands(7)]

    async def interrupted(*_: object) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return ""

    monkeypatch.setattr("ops.commands.lagging._still", interrupted)

    ended = command("lag", "--wait")

    assert (ended.code, ended.out) == (130, "")
    assert ended.err == "lesson-progress: interrupted; nothing was changed\n"


def test_nobody_has_handled_all_of_a_topic_that_is_not_there(command: Command, left: Left) -> None:
    left["progress"] = [{"progress.commands": 0}]

    ended = command("lag", "--wait")

    assert ended.code == 1
    assert "is not there: `lesson-progress topics diff`" in ended.err


def test_a_service_that_does_not_exist_is_refused(command: Command) -> None:
    ended = command("lag", "emails")

    assert ended.code == 1
    assert (
        ended.err == "lesson-progress: there is no service 'emails'; there are progress, recalculator, certificates\n"
    )
