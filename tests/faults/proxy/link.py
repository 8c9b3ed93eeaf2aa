"""A link: all that passes between one service and the broker, or the database; it can be held, lost or changed.

It reads whole messages of the protocol, so what is chosen is an exchange and not a moment: this insert before it
arrives, the answer to that commit. A message that is held holds all that come after it on its connection, as a slow
network would.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from tests.faults.proxy.traps import ANSWER, REQUEST, Fate, Trap
from tests.faults.proxy.wire import Request, Wire

_HOST = "127.0.0.1"
#: How long a connection whose client is gone stays for answers that are still to come, in seconds.
_LAST_ANSWERS_SECONDS = 5.0
_GLANCE_SECONDS = 0.02
_REMEMBERED = 20_000


class Record:
    """What passed on the links of one run, line by line."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.lines: deque[str] = deque(maxlen=_REMEMBERED)

    def note(self, sentence: str) -> None:
        """Add a line, with the time since the beginning."""
        self.lines.append(f"{time.monotonic() - self._began:9.3f} {sentence}")


class Link:
    """One service's way to the broker or to the database; listens once it is opened."""

    def __init__(self, name: str, upstream: str, record: Record) -> None:
        self.name = name
        self._upstream_host, _, port = upstream.rpartition(":")
        self._upstream_port = int(port)
        self._record = record
        self._traps: list[Trap] = []
        self._connections: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}
        self._mended = asyncio.Event()
        self._mended.set()
        self._cut = False
        self._server: asyncio.Server | None = None
        self._wire: Wire

    async def open(self, wire: Callable[[str, int], Wire]) -> None:
        """Listen on a free port; the wire is told where."""
        self._server = await asyncio.start_server(self._accept, _HOST, 0, limit=2**24)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._wire = wire(_HOST, self.port)

    async def close(self) -> None:
        """Listen no more, and let nothing go on."""
        if self._server is not None:
            self._server.close()
        self.mend()
        running = list(self._connections)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    @property
    def address(self) -> str:
        """Where a service connects to."""
        return f"{_HOST}:{self.port}"

    # -- the whole link --------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """End every connection at once and take no new one, until `join` or `mend`."""
        self._record.note(f"{self.name} cut")
        self._cut = True
        self.drop_connections()

    def join(self) -> None:
        """Take connections again after `cut`; traps stay as they are."""
        self._cut = False

    def freeze(self) -> None:
        """Let nothing pass in either direction, and say nothing, until `mend`."""
        self._record.note(f"{self.name} frozen")
        self._mended.clear()

    def mend(self) -> None:
        """Let everything pass again: no cut, no freeze, no trap; what traps hold passes."""
        self._cut = False
        self._mended.set()
        for trap in self._traps:
            trap.let_pass()
        self._traps.clear()

    def drop_connections(self) -> None:
        """End every connection at once, as a restart of the other side does; new ones are taken."""
        for writers in list(self._connections.values()):
            for writer in writers:
                writer.transport.abort()

    # -- single exchanges ------------------------------------------------------------------------------------------

    def trap(self, side: str, kind: str, about: str | None = None, **options: object) -> Trap:
        """Catch messages from now on; see `Trap`."""
        trap = Trap(side, kind, about, **options)  # type: ignore[arg-type]
        self._traps.append(trap)
        return trap

    def hold_request(self, kind: str, about: str | None = None, *, after: int = 0) -> Trap:
        """Hold the next such request, after so many that pass, until it is told what becomes of it."""
        return self.trap(REQUEST, kind, about, after=after)

    def hold_answer(self, kind: str, about: str | None = None, *, after: int = 0) -> Trap:
        """Hold the answer to the next such request, after so many that pass, until it is told what becomes of it."""
        return self.trap(ANSWER, kind, about, after=after)

    # -- what passes -----------------------------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connected(reader, writer))
        self._connections[task] = (writer,)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            await self._mended.wait()
            if self._cut:
                return
            upstream_reader, upstream = await asyncio.open_connection(
                self._upstream_host, self._upstream_port, limit=2**24
            )
            self._connections[task] = (writer, upstream)
            await self._carry(reader, writer, upstream_reader, upstream)
        except (OSError, asyncio.IncompleteReadError):
            pass  # one side has closed, or cannot be reached: the other side sees it closed too
        finally:
            for each in self._connections.pop(task):
                each.transport.abort()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> None:
        pending: dict[int, Request] = {}
        answering = asyncio.create_task(self._answers(upstream_reader, writer, pending))
        asking = asyncio.create_task(self._requests(reader, upstream, pending))
        try:
            await asyncio.wait({answering, asking}, return_when=asyncio.FIRST_COMPLETED)
            deadline = time.monotonic() + _LAST_ANSWERS_SECONDS
            while pending and not answering.done() and time.monotonic() < deadline:
                # The service is gone; what it asked for still takes place.
                await asyncio.wait({answering}, timeout=_GLANCE_SECONDS)
        finally:
            for task in (answering, asking):
                task.cancel()
                with suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
                    await task

    async def _requests(
        self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter, pending: dict[int, Request]
    ) -> None:
        while True:
            request = self._wire.request(await self._wire.read(reader))
            await self._mended.wait()
            fate = await self._fate(REQUEST, request)
            if fate is Fate.LOST:
                return
            pending[request.identity] = request
            upstream.write(request.raw)
            await upstream.drain()

    async def _answers(
        self, upstream_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pending: dict[int, Request]
    ) -> None:
        while True:
            answer = await self._wire.read(upstream_reader)
            await self._mended.wait()
            request = pending.get(self._wire.answered(answer))
            if request is not None:
                if said := self._wire.summary(request, answer):
                    self._record.note(f"{self.name} {request.name}: {said}")
                fate = await self._fate(ANSWER, request, answer)
                pending.pop(request.identity, None)
                if fate is Fate.LOST:
                    return
                if fate is Fate.HALVED:
                    writer.write(answer[: len(answer) // 2])
                    await writer.drain()
                    return
                answer = fate if isinstance(fate, bytes) else self._wire.arriving(request, answer)
            with suppress(OSError):  # a service that is gone hears nothing; what it asked for takes place
                writer.write(answer)
                await writer.drain()

    async def _fate(self, side: str, request: Request, answer: bytes = b"") -> Fate | bytes:
        for trap in list(self._traps):
            if trap.catches(side, request, answer):
                self._record.note(f"{self.name} caught the {side} {request.name}")
                fate = await trap.decided(request, answer)
                self._record.note(
                    f"{self.name} {side} {request.name}: {'changed' if isinstance(fate, bytes) else fate}"
                )
                return fate
        return Fate.PASSED
