"""HTTP requests from many clients at once, each on its own connection, as light as the sender can be made."""

import asyncio
from collections.abc import Sequence
from time import perf_counter

_LENGTH = b"content-length: "
_END = b"\r\n\r\n"


class UnexpectedAnswer(Exception):
    """An answer was not 200."""


def request(path: str, token: str) -> bytes:
    """The bytes of one GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


async def load(port: int, requests: Sequence[bytes], *, seconds: float) -> list[float]:
    """Send one request a client, again and again, each as soon as the last is answered; answers every duration (s).

    Raises:
        UnexpectedAnswer: an answer was not 200.
    """
    ends_at = perf_counter() + seconds
    found = await asyncio.gather(*(_client(port, one, ends_at) for one in requests))
    return [duration for durations in found for duration in durations]


async def _client(port: int, request_bytes: bytes, ends_at: float) -> list[float]:
    durations: list[float] = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while (started := perf_counter()) < ends_at:
            writer.write(request_bytes)
            head = await reader.readuntil(_END)
            await reader.readexactly(_body_bytes(head))
            durations.append(perf_counter() - started)
    finally:
        writer.close()
    return durations


def _body_bytes(head: bytes) -> int:
    if not head.startswith(b"HTTP/1.1 200 "):
        raise UnexpectedAnswer(head.partition(b"\r\n")[0].decode("latin-1"))
    start = head.lower().index(_LENGTH) + len(_LENGTH)
    return int(head[start : head.index(b"\r\n", start)])
