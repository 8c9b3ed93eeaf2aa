"""render.py - a certificate as a PDF, typeset in processes of their own so that the event loop never waits.

A page costs about 5 ms of CPU. The files are PDF/A-2a and PDF/UA-1: made to be kept, to be read aloud, and strict
enough that a character which no font can show is an error and not an empty box.
"""

import asyncio
import json
import multiprocessing
import os
import signal
import threading
import time
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import cache
from itertools import chain
from math import ceil
from pathlib import Path
from typing import ClassVar, Final, ParamSpec, TypeVar, cast

import typst

from shared.errors import Fatal, Transient

_TEMPLATES: Final = Path(__file__).parent / "templates"
_PAGES_PER_TASK: Final = 16
_LONGEST_TEXT: Final = 500
_LEFT_OUT: Final = {code: None for code in range(0xA0) if not (chr(code).isprintable() or chr(code).isspace())}
_LEFT_OUT[0xFEFF] = None  # the byte order mark, which names pasted from spreadsheets bring along

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CertificatePage:
    """Everything that stands on a certificate. `issued_on` is a day in UTC."""

    certificate_id: str
    recipient_name: str
    course_title: str
    instructor_name: str | None
    issued_on: date
    verification_url: str


class GlyphMissing(Exception):
    """A name or the title holds a character that no font can show; says which field, never its text."""

    code: ClassVar[str] = "glyph_missing"

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field

    def __str__(self) -> str:
        return f"No font shows every character of {self.field}."


class RenderFailed(Exception):
    """The page cannot be typeset for another reason than a missing glyph; it would fail again."""

    code: ClassVar[str] = "render_failed"


Rendered = bytes | GlyphMissing | RenderFailed

_SPECIMEN: Final = CertificatePage(
    certificate_id="specimen",
    recipient_name="Ada Lovelace",
    course_title="Analytical Engines",
    instructor_name="Charles Babbage",
    issued_on=date(1843, 9, 1),
    verification_url="https://example.org/specimen",
)


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
            warm.update(await asyncio.gather(*(self._run(_warm_up, self._fonts) for _ in range(self._workers))))

    async def render(self, page: CertificatePage) -> bytes:
        """The PDF of one certificate.

        Raises:
            GlyphMissing: when a text holds a character that no font can show.
            RenderFailed: when the page cannot be typeset for another reason.
            Transient: when the worker died; the next call gets a new one.
        """
        (rendered,) = await self.render_many([page])
        if isinstance(rendered, Exception):
            raise rendered
        return rendered

    async def render_many(self, pages: Sequence[CertificatePage]) -> list[Rendered]:
        """The PDFs, or why there is none, in the order of the pages; the work is spread over all workers.

        Raises:
            Transient: when a worker died; the next call gets a new one.
        """
        size = min(_PAGES_PER_TASK, ceil(len(pages) / self._workers)) or 1
        tasks = [(pages[start : start + size], self._fonts) for start in range(0, len(pages), size)]
        return list(chain.from_iterable(await asyncio.gather(*(self._run(_typeset, *task) for task in tasks))))

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


def _warm_up(fonts: Path | None) -> int:
    try:
        _pdf(_SPECIMEN, fonts)
    except (typst.TypstError, OSError) as error:
        raise Fatal(f"The template of certificates cannot be typeset: {error}") from None
    time.sleep(0.05)  # leaves the next specimen to another worker
    return os.getpid()


def _typeset(pages: Sequence[CertificatePage], fonts: Path | None) -> list[Rendered]:
    """In a worker. Errors are answers: a raised one would bring along typst's own, which quotes the learner's name."""
    return [_typeset_one(page, fonts) for page in pages]


def _typeset_one(page: CertificatePage, fonts: Path | None) -> Rendered:
    try:
        return _pdf(page, fonts)
    except typst.TypstError:
        return _reason(page, fonts)


def _reason(page: CertificatePage, fonts: Path | None) -> GlyphMissing | RenderFailed:
    """Why a page failed: the first of its texts that fails on the specimen as well, if there is one."""
    for field in ("recipient_name", "course_title", "instructor_name"):
        try:
            _pdf(replace(_SPECIMEN, **{field: getattr(page, field)}), fonts)
        except typst.TypstError:
            return GlyphMissing(field)
    return RenderFailed("The page cannot be typeset.")


def _pdf(page: CertificatePage, fonts: Path | None) -> bytes:
    inputs = {"page": json.dumps(_words(page))}
    return cast("bytes", _compiler(fonts).compile(format="pdf", sys_inputs=inputs, pdf_standards=["a-2a", "ua-1"]))


@cache
def _compiler(fonts: Path | None) -> typst.Compiler:
    """One for the life of a worker; it reads no file outside the templates and no font of the machine."""
    font_paths = [] if fonts is None else [fonts]
    template = _TEMPLATES / "certificate.typ"
    return typst.Compiler(template, root=_TEMPLATES, font_paths=font_paths, ignore_system_fonts=True)


def _words(page: CertificatePage) -> dict[str, str | None]:
    """The page as the template reads it."""
    words = {**asdict(page), "issued_on": page.issued_on.isoformat()}
    return {name: None if text is None else _line(text) for name, text in words.items()}


def _line(text: str) -> str:
    """`text` on one line, composed (NFC), without control characters; what is far too long ends in an ellipsis."""
    line = " ".join(unicodedata.normalize("NFC", text).translate(_LEFT_OUT).split())
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 1] + "…"
