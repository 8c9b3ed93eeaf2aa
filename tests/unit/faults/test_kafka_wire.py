"""Kafka on a link: requests are known by name and topic, and a client stays where it was told to come."""

import asyncio
import struct
from typing import Any

import pytest
from aiokafka.protocol.api import RequestStruct
from aiokafka.protocol.commit import OffsetCommitRequest_v3, OffsetCommitResponse_v3
from aiokafka.protocol.coordination import FindCoordinatorRequest_v1, FindCoordinatorResponse_v1
from aiokafka.protocol.metadata import MetadataRequest_v5, MetadataResponse_v5
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceResponse_v7
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from tests.faults.proxy.kafka_wire import NOT_COORDINATOR, KafkaWire, acknowledged, committed, error_codes, refused_with

WIRE = KafkaWire("127.0.0.1", 4000)
COMMIT = OffsetCommitRequest_v3("group", 3, "member", -1, [("lesson.completed", [(0, 17, ""), (5, 2, "")])])


def sent(request: RequestStruct, *, correlation: int = 7) -> bytes:
    header = request.build_request_header(correlation_id=correlation, client_id="lesson-progress-progress")
    message = bytes(header.encode() + request.encode())
    return struct.pack(">i", len(message)) + message


def answered(response: Any, *, correlation: int = 7) -> bytes:
    message = bytes(struct.pack(">i", correlation) + response.encode())
    return struct.pack(">i", len(message)) + message


def test_a_produce_request_is_known_by_its_topics() -> None:
    raw = sent(ProduceRequest_v7(None, -1, 1000, [("a", [(0, b"x")]), ("b", [(1, b"y")])]))

    request = WIRE.request(raw)

    assert request.identity == 7
    assert request.kinds == {"Produce"}
    assert request.about == {"a", "b"}


def test_a_commit_is_known_by_its_topics_and_says_its_offsets() -> None:
    request = WIRE.request(sent(COMMIT))

    assert request.kinds == {"OffsetCommit"}
    assert request.about == {"lesson.completed"}
    assert committed(request) == {("lesson.completed", 0): 17, ("lesson.completed", 5): 2}


def test_a_request_of_a_client_without_a_name_is_read_too() -> None:
    head = struct.pack(">hhih", 8, 3, 7, -1)
    raw = struct.pack(">i", len(head) + len(COMMIT.encode())) + head + COMMIT.encode()

    assert committed(WIRE.request(raw))["lesson.completed", 0] == 17


def test_an_unknown_request_passes_under_its_number() -> None:
    assert WIRE.request(struct.pack(">ihhih", 10, 99, 0, 3, -1)).kinds == {"api 99"}


def test_brokers_and_coordinators_are_where_the_link_is() -> None:
    asked = WIRE.request(sent(MetadataRequest_v5(None, False)))
    told = answered(MetadataResponse_v5(0, [(1, "broker", 9092, None)], "cluster", 1, []))
    found = WIRE.request(sent(FindCoordinatorRequest_v1("group", 0)))
    coordinator = answered(FindCoordinatorResponse_v1(0, 0, None, 1, "broker", 9092))

    brokers = MetadataResponse_v5.decode(WIRE.arriving(asked, told)[8:]).brokers
    moved = FindCoordinatorResponse_v1.decode(WIRE.arriving(found, coordinator)[8:])

    assert brokers == [(1, "127.0.0.1", 4000, None)]
    assert (moved.host, moved.port) == ("127.0.0.1", 4000)


def test_a_coordinator_that_is_not_known_has_no_address_to_move() -> None:
    found = WIRE.request(sent(FindCoordinatorRequest_v1("group", 0)))
    nowhere = answered(FindCoordinatorResponse_v1(0, 15, None, -1, "", -1))

    assert WIRE.arriving(found, nowhere) == nowhere


def test_a_commit_can_be_answered_with_an_error_for_every_partition() -> None:
    request = WIRE.request(sent(COMMIT))
    accepted = answered(OffsetCommitResponse_v3(0, [("lesson.completed", [(0, 0), (5, 0)])]))

    refusal = refused_with(NOT_COORDINATOR)(request, accepted)

    assert (error_codes(request, accepted), error_codes(request, refusal)) == ([0, 0], [16, 16])
    assert WIRE.answered(refusal) == 7
    assert WIRE.summary(request, refusal) == "errors [16]"


@pytest.mark.parametrize("size", [0, 1, 70_000])
async def test_a_message_is_read_whole(size: int) -> None:
    reader = asyncio.StreamReader()
    whole = struct.pack(">i", size) + b"x" * size
    reader.feed_data(whole + b"next")

    assert await WIRE.read(reader) == whole


def batch(*identities: bytes) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1_000)
    for offset, identity in enumerate(identities):
        builder.append(offset, 1, b"key", b"value", [("ce_id", identity)])
    return bytes(builder.build())


def test_records_are_acknowledged_where_their_partition_is_accepted() -> None:
    raw = sent(ProduceRequest_v7(None, -1, 1000, [("a", [(0, batch(b"1", b"2")), (1, batch(b"3"))])]))
    answer = answered(ProduceResponse_v7([("a", [(0, 0, 10, -1, 0), (1, 6, -1, -1, 0)])], 0))

    assert acknowledged(WIRE.request(raw), answer) == [{"ce_id": b"1"}, {"ce_id": b"2"}]
