"""How one JSON Schema differs from another, change by change; who would break by it is judged elsewhere."""

from collections.abc import Iterator
from enum import Enum, auto
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


_NAMES = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
          "array": "a list", "object": "an object"}  # fmt: skip
#: Limits from below; the others are limits from above.
_LOWER = ("minimum", "minLength", "minItems")
_UPPER = ("maximum", "maxLength", "maxItems")


def changes(old: Json, new: Json, prefix: str = "") -> Iterator[Change]:
    """Every change of an object's fields that may break somebody."""
    before, after = old.get("properties", {}), new.get("properties", {})
    needed, needs = set(old.get("required", ())), set(new.get("required", ()))
    added = [name for name in after if name not in before]
    for name, field in before.items():
        at = prefix + name
        if name not in after:
            yield Change(Kind.REMOVED, at, "is gone", _renamed(field, {n: after[n] for n in added}))
            continue
        if name in needs - needed:
            yield Change(Kind.NOW_REQUIRED, at, "was optional and is required now")
        if name in needed - needs:
            yield Change(Kind.NOW_OPTIONAL, at, "was always there and may be missing now")
        yield from _values(field, after[name], at)
    for name in added:
        if name in needs:
            yield Change(Kind.NEW_REQUIRED, prefix + name, "is new and required")


def _renamed(field: Json, added: Json) -> str:
    """Where a field is gone and another of its type is new, perhaps it was renamed."""
    alike = [f"`{name}`" for name, other in added.items() if _types(other) == _types(field)]
    return f"{' and '.join(alike)} is new: another name is another field" if alike else ""


def _values(old: Json, new: Json, at: str) -> Iterator[Change]:
    """Every change of what a field may hold."""
    was, is_now = _types(old), _types(new)
    if was - {"null"} != is_now - {"null"}:
        kind = Kind.WIDENED if _within(was, is_now) else Kind.NARROWED if _within(is_now, was) else Kind.OTHER
        yield Change(kind, at, f"was {_named(was)} and is {_named(is_now)} now")
        return
    if "null" in is_now - was:
        yield Change(Kind.WIDENED, at, "was never null and may be null now")
    if "null" in was - is_now:
        yield Change(Kind.NARROWED, at, "might be null and may not be any more")
    old, new = _without_null(old), _without_null(new)
    yield from _limits(old, new, at)
    yield from _words(old, new, at)
    yield from _forms(old, new, at)
    if "object" in was:
        yield from changes(old, new, f"{at}.")
    if "array" in was:
        yield from _values(old.get("items", {}), new.get("items", {}), f"{at}[]")


def _limits(old: Json, new: Json, at: str) -> Iterator[Change]:
    for limit in (*_LOWER, *_UPPER):
        was, is_now = old.get(limit), new.get(limit)
        if was == is_now:
            continue
        says = f"had {_quoted(limit, was)} and has {_quoted(limit, is_now)} now"
        looser = is_now is None or (was is not None and ((is_now < was) == (limit in _LOWER)))
        yield Change(Kind.WIDENED if looser else Kind.NARROWED, at, says)


def _words(old: Json, new: Json, at: str) -> Iterator[Change]:
    was, is_now = _allowed(old), _allowed(new)
    if was is None or is_now is None:
        if was is not None:
            yield Change(Kind.WIDENED, at, f"was one of {_list(was)} and may be anything now")
        if is_now is not None:
            yield Change(Kind.NARROWED, at, f"might be anything and must be one of {_list(is_now)} now")
        return
    if more := [word for word in is_now if word not in was]:
        yield Change(Kind.WIDENED, at, f"may be {_list(more)} now, which it never was")
    if fewer := [word for word in was if word not in is_now]:
        yield Change(Kind.NARROWED, at, f"may not be {_list(fewer)} any more")


def _forms(old: Json, new: Json, at: str) -> Iterator[Change]:
    for form in ("pattern", "format"):
        was, is_now = old.get(form), new.get(form)
        if was == is_now:
            continue
        kind = Kind.NARROWED if was is None else Kind.WIDENED if is_now is None else Kind.OTHER
        yield Change(kind, at, f"had {_quoted(form, was)} and has {_quoted(form, is_now)} now")


def _quoted(form: str, value: object) -> str:
    return f"no {form}" if value is None else f"the {form} {value}"


def _types(schema: Json) -> set[str]:
    if "anyOf" in schema:
        return set().union(*(_types(branch) for branch in schema["anyOf"]))
    declared = schema.get("type", [])
    return {declared} if isinstance(declared, str) else set(declared)


def _without_null(schema: Json) -> Json:
    """What a field is when it is not null; a choice between several others stays as it is."""
    branches = [branch for branch in schema.get("anyOf", ()) if branch.get("type") != "null"]
    return branches[0] if len(branches) == 1 else schema


def _allowed(schema: Json) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _within(fewer: set[str], more: set[str]) -> bool:
    """Whether every value of some types is one of some other types; a whole number is a number, no type is any."""
    return not more or (bool(fewer) and fewer <= more | ({"integer"} if "number" in more else set()))


def _named(types: set[str]) -> str:
    return " or ".join(sorted(_NAMES.get(name, name) for name in types - {"null"})) or "anything"


def _list(words: list[Any]) -> str:
    return ", ".join(f"`{word}`" for word in words)
