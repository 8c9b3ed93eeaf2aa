"""HTTP requests from many clients at once, each on its own connection, as light as the sender can be made."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from time import perf_counter

_LENGTH = b"content-length: "
_END = b"\r\n\r\n"


class UnexpectedAnswer(Exception):
    """An answer was not 200."""


def request(path: str, token: str) -> bytes:
    """The bytes of one GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


async def saturate(port: int, requests: Sequence[bytes], *, seconds: float) -> list[float]:
    """Send one request a client, again and again, each as soon as the last is answered; answers every duration (s).

    Raises:
        UnexpectedAnswer: an answer was not 200.
    """
    ends_at = perf_counter() + seconds
    return await _all(_client(port, one, lambda: perf_counter() < ends_at) for one in requests)


async def ask_every_second(port: int, requests: Sequence[bytes], *, seconds: int) -> list[float]:
    """Send one request a client and second, their moments spread evenly; answers every duration (s).

    A duration begins when the request was due, so that one which waits for the answer before it counts its waiting.

    Raises:
        UnexpectedAnswer: an answer was not 200.
    """
    started = perf_counter() + 0.1
    return await _all(
        _client_in_time(port, one, started + number / len(requests), seconds) for number, one in enumerate(requests)
    )


async def _all(clients: Iterable[Awaitable[list[float]]]) -> list[float]:
    return [duration for durations in await asyncio.gather(*clients) for duration in durations]


async def _client(port: int, request_bytes: bytes, more: Callable[[], bool]) -> list[float]:
    durations: list[float] = []
    async with _connection(port) as ask:
        while more():
            durations.append(await ask(request_bytes, perf_counter()))
    return durations


async def _client_in_time(port: int, request_bytes: bytes, first: float, seconds: int) -> list[float]:
    durations: list[float] = []
    async with _connection(port) as ask:
        for second in range(seconds):
            due = first + second
            await asyncio.sleep(due - perf_counter())
            durations.append(await ask(request_bytes, due))
    return durations


@asynccontextmanager
async def _connection(port: int) -> AsyncIterator[Callable[[bytes, float], Awaitable[float]]]:
    """One connection: sends a request, reads its answer, and answers how long that took since a moment (s)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(request_bytes: bytes, since: float) -> float:
        writer.write(request_bytes)
        head = await reader.readuntil(_END)
        await reader.readexactly(_body_bytes(head))
        return perf_counter() - since

    try:
        yield ask
    finally:
        writer.close()


def _body_bytes(head: bytes) -> int:
    if not head.startswith(b"HTTP/1.1 200 "):
        raise UnexpectedAnswer(head.partition(b"\r\n")[0].decode("latin-1"))
    start = head.lower().index(_LENGTH) + len(_LENGTH)
    return int(head[start : head.index(b"\r\n", start)])
