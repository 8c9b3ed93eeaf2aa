"""JSON documents of any length, piece by piece: what is held while they are written does not grow with them."""

import json
from collections.abc import Iterable, Iterator


def pieces(value: object) -> Iterator[str]:
    """The value as `json.dumps(value, indent=2)` writes it; an iterator, and one in an object, is an array."""
    match value:
        case Iterator():
            yield from _array(value, "\n")
        case dict() if any(isinstance(member, Iterator) for member in value.values()):
            for place, (name, member) in enumerate(value.items()):
                yield f"{',' if place else '{'}\n  {json.dumps(name)}: "
                yield from _array(member, "\n  ") if isinstance(member, Iterator) else (_text(member, "\n  "),)
            yield "\n}"
        case _:
            yield _text(value, "\n")


def _array(rows: Iterable[object], margin: str) -> Iterator[str]:
    separator = "["
    for row in rows:
        yield f"{separator}{margin}  {_text(row, margin + '  ')}"
        separator = ","
    yield "[]" if separator == "[" else f"{margin}]"


def _text(value: object, margin: str) -> str:
    # No string in JSON holds a line's end, so each of these is one between two members.
    return json.dumps(value, indent=2, ensure_ascii=False).replace("\n", margin)
