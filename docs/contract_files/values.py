"""What became of the values that a field may hold: limits, words, forms; all of one JSON type."""

from collections.abc import Iterator
from enum import Enum, auto
from fractions import Fraction
from typing import Any, NamedTuple

Json = dict[str, Any]


class Kind(Enum):
    """What became of a field."""

    REMOVED = auto()
    NEW_REQUIRED = auto()
    NOW_REQUIRED = auto()
    NOW_OPTIONAL = auto()
    #: Another JSON type, or another pattern: neither side can be sure of anything.
    OTHER = auto()
    #: Values that were allowed are not any more.
    NARROWED = auto()
    #: Values that were not allowed are now.
    WIDENED = auto()


class Change(NamedTuple):
    """One change of one field; `says` completes the sentence "the field …"."""

    kind: Kind
    field: str
    says: str
    #: What may have happened.
    hint: str = ""


#: Limits from below; the others are limits from above.
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def value_changes(old: Json, new: Json, at: str) -> Iterator[Change]:
    """Every change of what a value of one type may be, what is within it aside."""
    yield from _limits(old, new, at)
    yield from _multiples(old, new, at)
    yield from _words(old, new, at)
    yield from _forms(old, new, at)
    if old.get("uniqueItems", False) != new.get("uniqueItems", False):
        repeats, kind = ("not repeat", Kind.NARROWED) if new.get("uniqueItems") else ("repeat", Kind.WIDENED)
        yield Change(kind, at, f"may {repeats} its items now")


def _limits(old: Json, new: Json, at: str) -> Iterator[Change]:
    for limit in (*_LOWER, *_UPPER):
        was, is_now = old.get(limit), new.get(limit)
        if was == is_now:
            continue
        looser = is_now is None or (was is not None and ((is_now < was) == (limit in _LOWER)))
        yield Change(Kind.WIDENED if looser else Kind.NARROWED, at, _says(limit, was, is_now))


def _multiples(old: Json, new: Json, at: str) -> Iterator[Change]:
    was, is_now = old.get("multipleOf"), new.get("multipleOf")
    if was == is_now:
        return
    if was is None or is_now is None:
        kind = Kind.NARROWED if was is None else Kind.WIDENED
    else:
        before, after = Fraction(str(was)), Fraction(str(is_now))
        kind = Kind.NARROWED if after % before == 0 else Kind.WIDENED if before % after == 0 else Kind.OTHER
    yield Change(kind, at, _says("multipleOf", was, is_now))


def _words(old: Json, new: Json, at: str) -> Iterator[Change]:
    was, is_now = _allowed(old), _allowed(new)
    if was is None or is_now is None:
        if was is not None:
            yield Change(Kind.WIDENED, at, f"was one of {_listed(was)} and may be anything now")
        if is_now is not None:
            yield Change(Kind.NARROWED, at, f"might be anything and must be one of {_listed(is_now)} now")
        return
    if more := [word for word in is_now if word not in was]:
        yield Change(Kind.WIDENED, at, f"may be {_listed(more)} now, which it never was")
    if fewer := [word for word in was if word not in is_now]:
        yield Change(Kind.NARROWED, at, f"may not be {_listed(fewer)} any more")


def _forms(old: Json, new: Json, at: str) -> Iterator[Change]:
    for form in ("pattern", "format", "contentMediaType", "contentEncoding"):
        was, is_now = old.get(form), new.get(form)
        if was == is_now:
            continue
        kind = Kind.NARROWED if was is None else Kind.WIDENED if is_now is None else Kind.OTHER
        yield Change(kind, at, _says(form, was, is_now))


def _says(form: str, was: object, is_now: object) -> str:
    return f"had {_quoted(form, was)} and has {_quoted(form, is_now)} now"


def _quoted(form: str, value: object) -> str:
    return f"no {form}" if value is None else f"the {form} {value}"


def _allowed(schema: Json) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _listed(words: list[Any]) -> str:
    return ", ".join(f"`{word}`" for word in words)
