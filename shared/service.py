"""One service process: serve HTTP at once, consume when everything is there, drain and stop within the grace period."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from fastapi import FastAPI

from shared.ending import cancelled, end
from shared.errors import Fatal, Transient
from shared.kafka.retries import backoff
from shared.serving import make_server, served
from shared.settings import PREFIX, HttpSettings

_log = structlog.get_logger()

#: From SIGTERM to the end of the process, at most, in seconds. The parts below share it.
GRACE_SECONDS = 10.0
#: How long the records in hand may take; their offsets are committed after that, within the same deadline.
_DRAIN_SECONDS = 5.0
#: For the last commit and the last replies, when the records in hand took all their time.
_LAST_WORDS_SECONDS = 2.5
#: By then the consuming side and the resources have closed, or are cut short.
_WORK_SECONDS = GRACE_SECONDS - 2.0
#: By then the last requests are answered, or are cut short.
_HTTP_SECONDS = GRACE_SECONDS - 0.7
#: By then the process leaves, whatever its threads do: nobody can cancel them, and the interpreter waits for them.
_PROCESS_SECONDS = GRACE_SECONDS - 0.2


class Consuming(Protocol):
    """What takes records while the service runs."""

    async def start(self) -> None:
        """Begin to take records."""

    async def drain(self, seconds: float) -> None:
        """Take no more, finish and commit what was taken."""

    async def stop(self) -> None:
        """Let go of the broker."""


@dataclass(slots=True)
class Service:
    """A wired service: its HTTP side, its consuming side, and what runs beside them."""

    name: str
    http: FastAPI
    http_settings: HttpSettings
    #: Opened in this order before anything is consumed, closed in the reverse order at the end.
    resources: Sequence[Callable[[], AbstractAsyncContextManager[object]]]
    #: Starts when the resources are open.
    consuming: Consuming
    #: Repeated in the background while the service runs.
    background: Sequence[Callable[[], Awaitable[None]]] = ()
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _fatal: Fatal | None = None
    started: bool = False

    def stop(self) -> None:
        """Ask the service to end: finish what was taken, commit, close."""
        self._stopping.set()

    def fail(self, failure: Fatal) -> None:
        """End the service because it cannot do its work."""
        self._fatal = self._fatal or failure
        self._stopping.set()

    async def stopping(self) -> None:
        """Wait until the service is to stop."""
        await self._stopping.wait()

    @property
    def sound(self) -> bool:
        """Whether nothing has kept the service from doing its work so far."""
        return self._fatal is None

    async def run(self) -> None:
        """Serve and consume until stopped; from then on it takes GRACE_SECONDS at most, whatever hangs.

        Raises:
            Fatal: the service cannot do its work as it is configured.
        """
        server = make_server(self.http, self.http_settings)
        serving = asyncio.create_task(served(server))
        working = asyncio.create_task(self._work())
        ended = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({serving, working, ended}, return_when=asyncio.FIRST_COMPLETED)
        early_end = serving.done() and not self._stopping.is_set()
        self._stopping.set()
        stopped_at = asyncio.get_running_loop().time()
        try:
            await end(working, by=stopped_at + _WORK_SECONDS)
        finally:
            server.should_exit = True
            await end(serving, by=stopped_at + _HTTP_SECONDS)
            ended.cancel()
        if early_end and self._fatal is None:
            raise Fatal(
                f"{self.name} cannot listen on {self.http_settings.host}:{self.http_settings.port}: mend "
                f"{PREFIX}{self.name.upper()}__HTTP__PORT, or stop the other program that has the port"
            )
        if self._fatal is not None:
            raise self._fatal

    async def _work(self) -> None:
        async with AsyncExitStack() as stack:
            try:
                for resource in self.resources:
                    await self._until_there(stack, resource)
                    if self._stopping.is_set():
                        return
                await self._begin(stack)
            except Fatal as failure:
                self.fail(failure)
                return
            if not self._stopping.is_set():
                self.started = True
                _log.info("service.started")
            await self._stopping.wait()
            self.started = False
            _log.info("service.stopping")
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS + _LAST_WORDS_SECONDS):
                    await self.consuming.drain(_DRAIN_SECONDS)

    async def _begin(self, stack: AsyncExitStack) -> None:
        stack.push_async_callback(self.consuming.stop)
        await self._patiently(self.consuming.start)
        for work in self.background:
            task = asyncio.create_task(self._repeat(work))
            stack.push_async_callback(cancelled, task)

    async def _until_there(
        self, stack: AsyncExitStack, resource: Callable[[], AbstractAsyncContextManager[object]]
    ) -> None:
        async def enter() -> None:
            await stack.enter_async_context(resource())

        await self._patiently(enter)

    async def _patiently(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step of the start with back-off while the outside is away, or until the service is to stop."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                return await self._unless_stopped(step)
            except Transient as failure:
                attempt += 1
                _log.warning("service.waits", reason=str(failure), attempt=attempt)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), min(backoff(attempt), 5.0))
        return None

    async def _unless_stopped(self, step: Callable[[], Awaitable[None]]) -> None:
        """A step that hangs (a broker that swallows what it is sent) is given up when the service is to stop."""
        running = asyncio.ensure_future(step())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not running.done():
                await cancelled(running)
        if not (running.cancelled() and self._stopping.is_set()):
            running.result()

    async def _repeat(self, work: Callable[[], Awaitable[None]]) -> None:
        trouble = _Trouble()
        while True:
            try:
                await work()
                trouble.over()
            except Transient as failure:
                trouble.again(str(failure))
                _log.warning("background.waits", reason=str(failure), attempt=trouble.attempt)
            except Fatal as failure:
                self.fail(failure)
                return
            except Exception as failure:  # noqa: BLE001 - work beside the loop is tried again; logged, not fatal
                trouble.again(type(failure).__name__)
                _log.exception("background.failed")
            if trouble.attempt:
                await asyncio.sleep(backoff(trouble.attempt))


class _Trouble:
    """What keeps work from being done, from its first failure until it succeeds again."""

    def __init__(self) -> None:
        #: How often in a row it failed.
        self.attempt = 0
        self._began = 0.0
        self._reason = ""

    def again(self, reason: str) -> None:
        """It failed."""
        if not self.attempt:
            self._began, self._reason = asyncio.get_running_loop().time(), reason
        self.attempt += 1

    def over(self) -> None:
        """It succeeded: whoever read of the failure reads that it is over."""
        if self.attempt:
            seconds = round(asyncio.get_running_loop().time() - self._began, 1)
            _log.info("background.resumed", reason=self._reason, attempt=self.attempt, seconds=seconds)
            self.attempt = 0


def run_until_signalled(make: Callable[[], Service]) -> int:
    """Run a service until SIGTERM or SIGINT; answers the exit code, after one clear sentence when it failed."""

    async def main() -> int:
        try:
            service = make()
            _spare_the_collector()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, service.stop)
            leaving = asyncio.create_task(_leave_in_time(service))
            try:
                await service.run()
            finally:
                leaving.cancel()
        except Fatal as failure:
            _log.error("service.failed", reason=str(failure))
            return 1
        return 0

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main())


async def _leave_in_time(service: Service) -> None:
    """From the moment the service is to stop, a thread of its own counts: the loop may be held up, or closed.

    It is never called off. The last to be waited for, by the interpreter itself, are the threads of the database
    driver; one that waits for a silent server would keep the process beyond its time.
    """
    await service.stopping()
    last_word = threading.Timer(_PROCESS_SECONDS, _leave, (service,))
    last_word.daemon = True
    last_word.start()


def _leave(service: Service) -> None:
    _log.warning("service.cut_short")
    os._exit(0 if service.sound else 1)


def _spare_the_collector() -> None:
    """Look for cyclic garbage seldom, and never among what was imported.

    A batch holds tens of thousands of objects until it is finished; looking through them again and again on the way
    finds nothing and costs a seventh of the processor's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not there on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop
