"""A certificate to typeset, and ways to look at the page: its words, its picture, and a font with one letter."""

import io
import json
import struct
import zlib
from datetime import date

import pypdf

from services.certificates.render import CertificatePage, Renderer
from services.certificates.render import page as pages

PAGE = CertificatePage(
    certificate_id="6f1c2b9e4d7a4c0f8b3e5a1d9c7f2e60",
    recipient_name="Ada Lovelace",
    course_title="Analytical Engines: from First Principles",
    instructor_name="Charles Babbage",
    issued_on=date(2026, 11, 22),
    verification_url="https://learn.example.org/v1/certificates/6f1c2b9e4d7a4c0f8b3e5a1d9c7f2e60",
)


async def rendered(renderer: Renderer, page: CertificatePage) -> bytes:
    """The PDF of one page; raises why there is none."""
    (made,) = await renderer.render_many([page])
    if isinstance(made, Exception):
        raise made
    return made


def document(pdf: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(pdf))


def lines(pdf: bytes) -> list[str]:
    (page,) = document(pdf).pages
    return [line.strip() for line in page.extract_text().splitlines()]


def words(pdf: bytes) -> str:
    return " ".join(" ".join(lines(pdf)).split())


def margins_are_blank(page: CertificatePage) -> bool:
    """Whether nothing stands between the frame, which ends 29 pt from the edge, and the text, which begins at 62."""
    pixels_per_inch = 36
    inputs = {"page": json.dumps(pages._words(page))}
    png = pages._compiler(None).compile(format="png", ppi=pixels_per_inch, sys_inputs=inputs)
    assert isinstance(png, bytes)
    rows = pixels(png)
    first, last = (round(points * pixels_per_inch / 72) for points in (32, 60))
    ring = [row[first * 4 : -first * 4] for row in rows[first:-first]]
    depth = last - first
    sides = [side for row in ring for side in (row[: depth * 4], row[-depth * 4 :])]
    return all(set(strip) == {255} for strip in [*ring[:depth], *ring[-depth:], *sides])


def pixels(png: bytes) -> list[bytearray]:
    """The rows of a PNG of 8-bit RGBA, four bytes a pixel (PNG specification, 9.2: filter types)."""
    width, height = struct.unpack(">II", png[16:24])
    data, position = b"", 8
    while position < len(png):
        (length,) = struct.unpack(">I", png[position : position + 4])
        if png[position + 4 : position + 8] == b"IDAT":
            data += png[position + 8 : position + 8 + length]
        position += length + 12
    raw, rows, above = zlib.decompress(data), [], bytearray(width * 4)
    for number in range(height):
        start = number * (width * 4 + 1)
        row = bytearray(raw[start + 1 : start + 1 + width * 4])
        for i in range(width * 4):
            left, corner = (row[i - 4], above[i - 4]) if i >= 4 else (0, 0)
            row[i] = (row[i] + predicted(raw[start], left, above[i], corner)) & 255
        rows.append(row)
        above = row
    return rows


def predicted(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 4:
        return min((left, up, corner), key=lambda value: abs(left + up - corner - value))
    return (0, left, up, (left + up) // 2)[kind]


def font_with_one_letter(letter: str) -> bytes:
    """A TrueType font whose only letter is ten times as wide as high (OpenType specification, required tables)."""
    bar = struct.pack(">5h", 1, 0, 0, 10000, 1000) + struct.pack(">HH", 3, 0) + b"\x01" * 4
    bar += struct.pack(">8h", 0, 10000, 0, -10000, 0, 0, 1000, 0)
    family = "Bar".encode("utf-16-be")
    tables = {
        b"cmap": struct.pack(">HHHHI", 0, 1, 3, 10, 12)
        + struct.pack(">HHIIIIII", 12, 0, 28, 0, 1, ord(letter), ord(letter), 1),
        b"glyf": bar,
        b"head": struct.pack(
            ">IIIIHHQQ4hHHhhh", 0x10000, 0, 0, 0x5F0F3CF5, 0, 1000, 0, 0, 0, 0, 1000, 1000, 0, 8, 2, 1, 0
        ),
        b"hhea": struct.pack(">I3hH11hH", 0x10000, 800, -200, 0, 1000, 0, 0, 1000, 1, 0, 0, 0, 0, 0, 0, 0, 2),
        b"hmtx": struct.pack(">HhHh", 1000, 0, 10000, 0),
        b"loca": struct.pack(">3I", 0, 0, len(bar)),
        b"maxp": struct.pack(">I14H", 0x10000, 2, 4, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
        b"name": struct.pack(">3H", 0, 2, 30)
        + b"".join(struct.pack(">6H", 3, 1, 0x409, meaning, len(family), 0) for meaning in (1, 6))
        + family,
        b"post": struct.pack(">IIhhIIIII", 0x30000, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    directory, body = struct.pack(">IHHHH", 0x10000, len(tables), 0, 0, 0), b""
    for tag, table in sorted(tables.items()):
        directory += struct.pack(">4sIII", tag, 0, 12 + 16 * len(tables) + len(body), len(table))
        body += table + b"\0" * (-len(table) % 4)
    return directory + body
