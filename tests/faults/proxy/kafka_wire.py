"""Kafka's protocol on a link: requests by their names, addresses that keep a client on its link, errors put in."""

import asyncio
import struct
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from typing import Any

from aiokafka.protocol.api import Request as Api
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.memory_records import MemoryRecords

from tests.faults.proxy.wire import Edit, Request

#: Error codes of the protocol (kafka.apache.org/protocol, "Error Codes").
TOO_LARGE, COORDINATOR_LOADING, NOT_COORDINATOR = 10, 14, 16

_NAMES = {
    0: "Produce", 1: "Fetch", 2: "ListOffsets", 3: "Metadata", 8: "OffsetCommit", 9: "OffsetFetch",
    10: "FindCoordinator", 11: "JoinGroup", 12: "Heartbeat", 13: "LeaveGroup", 14: "SyncGroup", 18: "ApiVersions",
}  # fmt: skip
_KNOWN: tuple[type[Api[Any]], ...] = (MetadataRequest, FindCoordinatorRequest, ProduceRequest, OffsetCommitRequest)
#: The structure of a request by its key and version; that of its answer hangs on it.
_STRUCTURES: dict[tuple[int, int], Any] = {
    (struct_.API_KEY, struct_.API_VERSION): struct_ for api in _KNOWN for struct_ in api._CLASSES
}
_HEADER = struct.Struct(">ihhih")
_LENGTH = struct.Struct(">i")


class KafkaWire:
    """Messages between one client and the broker; the client is told that the broker is at `host`:`port`."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """The next whole message: its length, then so many bytes."""
        head = await reader.readexactly(_LENGTH.size)
        return head + await reader.readexactly(_LENGTH.unpack(head)[0])

    def request(self, raw: bytes) -> Request:
        """A request by the name of its API, with the topics that it produces to or commits for."""
        _, key, version, correlation, _ = _HEADER.unpack_from(raw)
        kinds = frozenset({_NAMES.get(key, f"api {key}")})
        about: frozenset[str] = frozenset()
        if key in {ProduceRequest.API_KEY, OffsetCommitRequest.API_KEY} and (key, version) in _STRUCTURES:
            about = frozenset(topic for topic, _ in _asked(raw).topics)
        return Request(correlation, kinds, about, raw)

    def answered(self, raw: bytes) -> int:
        """The correlation id."""
        return int(_LENGTH.unpack_from(raw, _LENGTH.size)[0])

    def arriving(self, request: Request, answer: bytes) -> bytes:
        """Brokers and coordinators at the address of the link."""
        if "Metadata" in request.kinds:
            return edited(request, answer, self._move_brokers)
        if "FindCoordinator" in request.kinds:
            return edited(request, answer, self._move_coordinator)
        return answer

    def summary(self, request: Request, answer: bytes) -> str:
        """The error codes of a commit or of published messages."""
        if not request.kinds & {"OffsetCommit", "Produce"}:
            return ""
        codes = sorted(set(error_codes(request, answer)))
        return f"errors {codes}" if codes != [0] else "accepted"

    def _move_brokers(self, answer: Any) -> None:
        answer.brokers = [(broker[0], self._host, self._port, *broker[3:]) for broker in answer.brokers]

    def _move_coordinator(self, answer: Any) -> None:
        if answer.error_code == 0:
            answer.host, answer.port = self._host, self._port


def edited(request: Request, answer: bytes, change: Any) -> bytes:
    """An answer whose decoded form was changed."""
    decoded = _answer(request, answer)
    change(decoded)
    body = answer[4:8] + bytes(decoded.encode())
    return _LENGTH.pack(len(body)) + body


def error_codes(request: Request, answer: bytes) -> list[int]:
    """The error code of every partition that a commit or a produce request was about."""
    codes = _answer(request, answer).topics
    return [int(partition[1]) for _, partitions in codes for partition in partitions]


def committed(request: Request) -> dict[tuple[str, int], int]:
    """The offsets that a commit asks for, by topic and partition."""
    return {(topic, p[0]): int(p[1]) for topic, partitions in _asked(request.raw).topics for p in partitions}


def acknowledged(request: Request, answer: bytes) -> list[dict[str, bytes]]:
    """The headers of every record that a produce request publishes, where the broker accepted its partition."""
    answered = _answer(request, answer).topics
    accepted = {(topic, partition[0]) for topic, of in answered for partition in of if partition[1] == 0}
    return [
        dict(record.headers)
        for topic, of in _asked(request.raw).topics
        for partition, raw in of
        if (topic, partition) in accepted
        for record in _records(raw)
    ]


def _records(raw: bytes) -> Iterator[Any]:
    batches = MemoryRecords(raw)
    while (batch := batches.next_batch()) is not None:
        yield from batch


def refused_with(code: int) -> Edit:
    """Answers a commit or a publication with this error code, whatever became of it."""

    def refuse(answer: Any) -> None:
        answer.topics = [
            (topic, [(partition[0], code, *partition[2:]) for partition in of]) for topic, of in answer.topics
        ]

    return partial(_edit, refuse)


def _edit(change: Any, request: Request, answer: bytes) -> bytes:
    return edited(request, answer, change)


def _asked(raw: bytes) -> Any:
    _, key, version, _, client = _HEADER.unpack_from(raw)
    return _STRUCTURES[key, version].decode(BytesIO(raw[_HEADER.size + max(client, 0) :]))


def _answer(request: Request, answer: bytes) -> Any:
    _, key, version, _, _ = _HEADER.unpack_from(request.raw)
    return _STRUCTURES[key, version].RESPONSE_TYPE.decode(BytesIO(answer[8:]))
