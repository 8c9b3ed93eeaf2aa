"""MongoDB on a link: commands are known by name and collection, and answers can say what a replica set would say."""

import asyncio
import struct
from typing import Any

import bson
import pytest

from tests.faults.proxy.mongo_wire import DURABLE, NOT_PRIMARY, MongoWire, failed_with, write_concern_timeout
from tests.faults.proxy.wire import Request

SESSION = {"id": b"0123456789abcdef"}


def message(body: dict[str, Any], *, identity: int = 5, answers: int = 0, documents: bytes = b"") -> bytes:
    sections = b"\0" + bson.encode(body)
    if documents:
        beside = b"documents\0" + documents
        sections = b"\1" + struct.pack("<i", 4 + len(beside)) + beside + sections  # before the body, which is allowed
    content = struct.pack("<I", 0) + sections
    return struct.pack("<iiii", 16 + len(content), identity, answers, 2013) + content


def body_of(raw: bytes) -> dict[str, Any]:
    assert len(raw) == struct.unpack_from("<i", raw)[0]
    return dict(bson.decode(raw[21:]))


def request(**body: Any) -> Request:
    return MongoWire().request(message(body))


def test_a_command_is_known_by_its_name_and_collection() -> None:
    found = request(find="lessons", filter={})

    assert found.identity == 5
    assert found.kinds == {"find"}
    assert found.about == {"lessons"}


def test_a_write_by_itself_is_durable_once_it_is_answered() -> None:
    assert request(insert="lessonProgress", ordered=False).kinds == {"insert", DURABLE}


def test_documents_beside_the_command_are_passed_over() -> None:
    raw = message({"insert": "lessonProgress"}, documents=bson.encode({"_id": 1}) * 3)

    assert MongoWire().request(raw).about == {"lessonProgress"}


def test_in_a_transaction_its_commit_is_durable_and_about_what_it_wrote() -> None:
    wire = MongoWire()
    update = wire.request(message({"update": "enrollments", "lsid": SESSION, "autocommit": False}))
    commit = wire.request(message({"commitTransaction": 1, "lsid": SESSION, "autocommit": False}))
    next_commit = wire.request(message({"commitTransaction": 1, "lsid": SESSION, "autocommit": False}))

    assert update.kinds == {"update"}
    assert commit.kinds == {"commitTransaction", DURABLE}
    assert update.about == commit.about == {"enrollments"}
    assert next_commit.about == frozenset()


def test_another_kind_of_message_passes_under_its_number() -> None:
    raw = struct.pack("<iiii", 16, 1, 0, 2004)

    assert MongoWire().request(raw).kinds == {"code 2004"}


def test_a_write_can_be_told_that_the_majority_has_not_heard_of_it() -> None:
    answer = message({"n": 1, "ok": 1.0}, identity=9, answers=5)

    changed = write_concern_timeout(request(insert="lessonProgress"), answer)

    assert MongoWire().answered(changed) == 5
    assert (body_of(changed)["n"], body_of(changed)["writeConcernError"]["code"]) == (1, 64)


def test_a_command_can_be_told_that_the_server_has_stepped_down() -> None:
    answer = message({"n": 1, "ok": 1.0}, identity=9, answers=5)

    changed = failed_with(NOT_PRIMARY, request(insert="lessonProgress"), answer)

    assert body_of(changed) == {
        "ok": 0.0, "errmsg": "NotWritablePrimary", "code": 10107, "codeName": "NotWritablePrimary",
    }  # fmt: skip


@pytest.mark.parametrize("size", [16, 70_000])
async def test_a_message_is_read_whole(size: int) -> None:
    reader = asyncio.StreamReader()
    whole = struct.pack("<i", size) + b"x" * (size - 4)
    reader.feed_data(whole + b"next")

    assert await MongoWire().read(reader) == whole
