"""One page of a certificate as a PDF: what stands on it, and why it cannot be made. Runs in the worker processes.

The files are PDF/A-2a and PDF/UA-1: made to be kept, to be read aloud, and strict enough that a character which no font
can show is an error and not an empty box.
"""

import json
import os
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import ClassVar, Final, cast

import typst

from shared.errors import Fatal

_TEMPLATES: Final = Path(__file__).parent.parent / "templates"
_LONGEST_TEXT: Final = 500
_LEFT_OUT: Final = {code: None for code in range(0xA0) if not (chr(code).isprintable() or chr(code).isspace())}
_LEFT_OUT[0xFEFF] = None  # the byte order mark, which names pasted from spreadsheets bring along


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


def warm_up(fonts: Path | None) -> int:
    """Typeset a specimen; answers this process' id.

    Raises:
        Fatal: the template or the fonts cannot be used.
    """
    try:
        _pdf(_SPECIMEN, fonts)
    except (typst.TypstError, OSError) as error:
        raise Fatal(f"The template of certificates cannot be typeset: {error}") from None
    time.sleep(0.05)  # leaves the next specimen to another worker
    return os.getpid()


def typeset(pages: Sequence[CertificatePage], fonts: Path | None) -> list[Rendered]:
    """The PDFs. Errors are answers: a raised one would bring along typst's own, which quotes the learner's name."""
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
