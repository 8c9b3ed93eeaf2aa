"""A brake between services and the database: every answer takes so many times as long, or none comes at all."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

from ops.stacks.ports import HOST

_Hold: TypeAlias = Callable[[float], Awaitable[None]]

_CHUNK = 256 * 1024
#: What only the driver's monitoring asks: it waits for a change, and its answer says nothing about speed.
_MONITORING = b"topologyVersion"


class Brake:
    """Passes on what both sides say; `factor` is how many times as long as the database's own an answer takes."""

    def __init__(self, port: int) -> None:
        #: Where it listens.
        self.port = 0
        #: 1: as if it were not there.
        self.factor = 1.0
        self._database = port
        self._passing = asyncio.Event()
        self._passing.set()
        self._links: set[asyncio.Task[None]] = set()

    def silence(self) -> None:
        """Hold every answer from now on."""
        self._passing.clear()

    def speak(self) -> None:
        """Let the answers through that were held, and all others."""
        self._passing.set()

    async def link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, for as long as both sides hold it."""
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            await self._pass(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # either side has gone, or the brake is taken away
        finally:
            self._links.discard(task)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection(HOST, self._database, limit=_CHUNK)
        connection = _Connection()
        ways = {
            asyncio.create_task(connection.ask(reader, requests)),
            asyncio.create_task(connection.answer(answers, writer, self._hold)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            requests.close()

    async def _hold(self, seconds: float) -> None:
        """Wait as long again as this answer took, as often as the factor says; and until answers pass at all."""
        if self.factor > 1:
            await asyncio.sleep((self.factor - 1) * seconds)
        await self._passing.wait()

    async def release(self) -> None:
        """End all connections."""
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)


class _Connection:
    """One connection's two ways; the database answers one request after the other."""

    def __init__(self) -> None:
        self._asked_at = 0.0
        self._monitoring = False

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            self._asked_at = time.perf_counter()
            self._monitoring = self._monitoring or _MONITORING in data
            writer.write(data)
            await writer.drain()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hold: _Hold) -> None:
        while data := await reader.read(_CHUNK):
            if not self._monitoring:
                await hold(time.perf_counter() - self._asked_at)
            self._asked_at = time.perf_counter()  # what follows of a long answer took its time from here on
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def brake(port: int) -> AsyncIterator[Brake]:
    """A brake before the database on this port; taken away with the block."""
    between = Brake(port)
    server = await asyncio.start_server(between.link, HOST, 0, limit=_CHUNK)
    between.port = server.sockets[0].getsockname()[1]
    try:
        yield between
    finally:
        server.close()
        await between.release()
        with suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 1)
