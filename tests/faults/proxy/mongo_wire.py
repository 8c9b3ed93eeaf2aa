"""MongoDB's protocol on a link: commands by their names, and answers that say what a replica set would say."""

import asyncio
import struct
from typing import Any

import bson

from tests.faults.proxy.wire import Request

#: Error codes of the server (src/mongo/base/error_codes.yml).
WRITE_CONCERN_TIMEOUT, SHUTTING_DOWN, NOT_PRIMARY, INTERRUPTED = 64, 91, 10107, 11602
_NAMES = {
    SHUTTING_DOWN: "ShutdownInProgress",
    NOT_PRIMARY: "NotWritablePrimary",
    INTERRUPTED: "InterruptedDueToReplStateChange",
}
#: A command whose effect stays once it is answered: a write by itself, or the commit of a transaction.
DURABLE = "durable"

_HEADER = struct.Struct("<iiii")
_MESSAGE = 2013
_WRITES = frozenset({"insert", "update", "delete", "findAndModify"})


class MongoWire:
    """Messages between one client and the database."""

    def __init__(self) -> None:
        #: The collections that an open transaction has written, by its session.
        self._written: dict[bytes, set[str]] = {}

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """The next whole message: its length, which counts itself, then the rest."""
        head = await reader.readexactly(4)
        return head + await reader.readexactly(int.from_bytes(head, "little") - 4)

    def request(self, raw: bytes) -> Request:
        """A command by its name, with its collection; a commit is about the collections of its transaction."""
        _, identity, _, code = _HEADER.unpack_from(raw)
        if code != _MESSAGE:
            return Request(identity, frozenset({f"code {code}"}), frozenset(), raw)
        command = _body(raw)
        name, value = next(iter(command.items()))
        kinds, about = {name}, {value} if isinstance(value, str) else set()
        session = bytes(command.get("lsid", {}).get("id", b""))
        if name in _WRITES and command.get("autocommit") is False:
            self._written.setdefault(session, set()).update(about)
        elif name in _WRITES or name == "commitTransaction":
            kinds.add(DURABLE)
        if name in {"commitTransaction", "abortTransaction"}:
            about = self._written.pop(session, set())
        return Request(identity, frozenset(kinds), frozenset(about), raw)

    def answered(self, raw: bytes) -> int:
        """The id of the message that this one answers."""
        return int(_HEADER.unpack_from(raw)[2])

    def arriving(self, request: Request, answer: bytes) -> bytes:
        """As it is: a client that is told to connect directly looks for no other server."""
        return answer

    def summary(self, request: Request, answer: bytes) -> str:
        """What became of a write."""
        if DURABLE not in request.kinds:
            return ""
        told = _body(answer)
        return ", ".join(f"{name} {told[name]}" for name in ("ok", "n", "nModified", "code") if name in told)


def failed_with(code: int, request: Request, answer: bytes) -> bytes:
    """The answer of a server that could not carry out the command, whatever became of it."""
    return _message(answer, {"ok": 0.0, "errmsg": _NAMES[code], "code": code, "codeName": _NAMES[code]})


def write_concern_timeout(request: Request, answer: bytes) -> bytes:
    """The answer to a write that is stored here, and of which the majority has not yet heard."""
    told = _body(answer)
    told["writeConcernError"] = {
        "code": WRITE_CONCERN_TIMEOUT,
        "codeName": "WriteConcernTimeout",
        "errmsg": "waiting for replication timed out",
        "errInfo": {"wtimeout": True},
    }
    return _message(answer, told)


def _body(raw: bytes) -> dict[str, Any]:
    """The document of a message; what is listed beside it (documents to insert, updates) is left alone."""
    at = _HEADER.size + 4
    end = len(raw) - (4 if raw[_HEADER.size] & 1 else 0)  # a checksum
    while at < end:
        size = int.from_bytes(raw[at + 1 : at + 5], "little")
        if raw[at] == 0:
            return dict(bson.decode(raw[at + 1 : at + 1 + size]))
        at += 1 + size
    return {}


def _message(answer: bytes, told: dict[str, Any]) -> bytes:
    _, identity, answers, _ = _HEADER.unpack_from(answer)
    body = b"\0\0\0\0\0" + bson.encode(told)
    return _HEADER.pack(_HEADER.size + len(body), identity, answers, _MESSAGE) + body
