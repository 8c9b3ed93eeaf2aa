"""The worker processes that typeset certificates: the event loop never waits, and no worker outlives its parent.

A page costs about 5 ms of CPU.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from math import ceil
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from services.certificates.render.page import CertificatePage, Rendered, typeset, warm_up
from shared.errors import Fatal, Transient

_PAGES_PER_TASK: Final = 16

P = ParamSpec("P")
T = TypeVar("T")


class Renderer:
    """Typesets certificates in a pool of worker processes; the same page gives the same bytes everywhere.

    Only the fonts inside typst (Latin, Greek, Cyrillic, Hebrew and more) and those in the folder `fonts` are used,
    never the machine's own.
    """

    def __init__(self, *, workers: int = 1, fonts: Path | None = None) -> None:
        self._workers = workers
        self._fonts = fonts
        self._pool: ProcessPoolExecutor | None = None
        self._closed = False

    async def start(self) -> None:
        """Start every worker and let it typeset a specimen, so that no learner waits for the first page.

        Raises:
            Fatal: when the template or the font folder is not there or not usable.
            Transient: when a worker died; starting again is safe.
        """
        if self._fonts is not None and not self._fonts.is_dir():
            raise Fatal("The folder of fonts for certificates does not exist.")
        warm: set[int] = set()
        while len(warm) < self._workers:
            warm.update(await asyncio.gather(*(self._run(warm_up, self._fonts) for _ in range(self._workers))))

    async def render_many(self, pages: Sequence[CertificatePage]) -> list[Rendered]:
        """The PDFs, or why there is none, in the order of the pages; the work is spread over all workers.

        Raises:
            Transient: when a worker died; the next call gets a new one.
        """
        size = min(_PAGES_PER_TASK, ceil(len(pages) / self._workers)) or 1
        tasks = [(pages[start : start + size], self._fonts) for start in range(0, len(pages), size)]
        return list(chain.from_iterable(await asyncio.gather(*(self._run(typeset, *task) for task in tasks))))

    async def close(self) -> None:
        """Finish the pages in hand and end the workers; whoever comes later is told to wait (Transient)."""
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown)

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise Transient("Certificates are no longer typeset here.")
        if self._pool is None:
            # Not fork: the parent runs threads, and a lock that one of them holds would stay locked in the child.
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._workers, mp_context=spawn, initializer=_enter)
        pool = self._pool
        try:
            return await asyncio.wrap_future(pool.submit(work, *args, **kwargs))
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = None
            raise Transient("A process that typesets certificates has died.") from None


def _enter() -> None:
    """Begin a worker that is ended by its parent alone, and never outlives it."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["RAYON_NUM_THREADS"] = "1"  # typst's own threads would only compete with the other workers
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End this process when its parent is gone, however it went: the pool's own queue would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
