"""Text files line by line, with every way in which a file can be broken told as a problem."""

import codecs
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final, Generic, NamedTuple, TypeVar

from ops.platform.problems import ImportProblem, Problems

#: The longest line, its line break included: many times what the longest allowed document needs.
MOST_BYTES: Final = 65_536

T_co = TypeVar("T_co", covariant=True)


class Located(NamedTuple, Generic[T_co]):
    """A value and the line it came from, counted from 1."""

    line: int
    value: T_co


def read_lines(path: Path, problems: Problems) -> Iterator[Located[str]]:
    """Read the lines of a UTF-8 file that are not blank, without their line breaks and without a byte order mark.

    Only a line feed, with or without a carriage return before it, ends a line. Whatever cannot be read is added to
    `problems`.
    """
    if not path.is_file():
        problems.add(ImportProblem(path.name, None, None, "Is not a file" if path.exists() else "Is missing"))
        return
    try:
        with path.open("rb") as file:
            for line, raw in _raw_lines(file, path.name, problems):
                yield from _text(line, raw, path.name, problems)
    except OSError as error:
        problems.add(ImportProblem(path.name, None, None, f"Cannot be read: {error.strerror}"))


def _raw_lines(file: BinaryIO, name: str, problems: Problems) -> Iterator[Located[bytes]]:
    """Read at most `MOST_BYTES` at a time, whatever the file holds."""
    for line in count(1):
        raw = file.readline(MOST_BYTES + 1)
        if not raw:
            return
        if len(raw) <= MOST_BYTES:
            yield Located(line, raw)
            continue
        problems.add(ImportProblem(name, line, None, f"Is longer than {MOST_BYTES} bytes"))
        while raw and not raw.endswith(b"\n"):
            raw = file.readline(MOST_BYTES)


def _text(line: int, raw: bytes, name: str, problems: Problems) -> Iterator[Located[str]]:
    """Decode one line; nothing when it is blank or not UTF-8."""
    content = raw.removeprefix(codecs.BOM_UTF8) if line == 1 else raw
    try:
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        problems.add(ImportProblem(name, line, None, "Is not UTF-8"))
        return
    if text.strip():
        yield Located(line, text)
