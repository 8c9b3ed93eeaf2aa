"""How one JSON Schema differs from another, change by change; who would break by it is judged elsewhere."""

from collections.abc import Iterator
from typing import Any

from docs.contract_files.plain import plain
from docs.contract_files.values import Change, Kind, value_changes

__all__ = ["OTHER_FIELDS", "Change", "Kind", "changes"]

Json = dict[str, Any]

#: Stands for the fields of an object that its schema does not name.
OTHER_FIELDS = "*"
_NAMES = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
          "array": "a list", "object": "an object"}  # fmt: skip
#: Of an object: its fields.
_FIELDS = ("properties", "required", "additionalProperties")


def changes(old: Json, new: Json) -> Iterator[Change]:
    """Every change of a value that may break somebody; what the value refers to is within its own schema.

    Raises:
        NotCompared: a schema holds a keyword whose changes are not judged.
    """
    yield from _values(plain(old, old), plain(new, new), "")


def _fields(old: Json, new: Json, prefix: str) -> Iterator[Change]:
    before, after = old.get("properties", {}), new.get("properties", {})
    needed, needs = set(old.get("required", ())), set(new.get("required", ()))
    added = {name: field for name, field in after.items() if name not in before}
    for name, field in before.items():
        if name not in after:
            yield Change(Kind.REMOVED, prefix + name, "is gone", _renamed(field, added))
            continue
        if name in needs - needed:
            yield Change(Kind.NOW_REQUIRED, prefix + name, "was optional and is required now")
        if name in needed - needs:
            yield Change(Kind.NOW_OPTIONAL, prefix + name, "was always there and may be missing now")
        yield from _values(field, after[name], prefix + name)
    # A name may be required without being described.
    for name in (*added, *sorted((needs - needed) - before.keys() - added.keys())):
        if name in needs:
            yield Change(Kind.NEW_REQUIRED, prefix + name, "is new and required")
    for name in sorted((needed - needs) - before.keys() - after.keys()):
        yield Change(Kind.NOW_OPTIONAL, prefix + name, "was always there and may be missing now")
    others = old.get("additionalProperties", {})
    yield from _once_others({name: field for name, field in added.items() if name not in needs}, others, prefix)
    yield from _other_fields(others, new.get("additionalProperties", {}), prefix + OTHER_FIELDS)


def _once_others(added: dict[str, Json], others: Any, prefix: str) -> Iterator[Change]:
    """What new optional fields are to whoever had them among the fields that are not named."""
    for name, field in added.items():
        if others is False:
            yield Change(Kind.WIDENED, prefix + name, "is new, and whoever keeps to the old schema refuses it")
        elif others:
            yield from _values(others, field, prefix + name)


def _other_fields(old: Any, new: Any, at: str) -> Iterator[Change]:
    """What became of the fields that are not named."""
    if old is False or new is False:
        if old is not new:
            kind = Kind.NARROWED if new is False else Kind.WIDENED
            yield Change(kind, at, "was taken and is refused now" if new is False else "was refused and is taken now")
        return
    yield from _values(old, new, at)


def _renamed(field: Json, added: dict[str, Json]) -> str:
    """Where a field is gone and another of its type is new, perhaps it was renamed."""
    alike = [f"`{name}`" for name, other in added.items() if _types(other) == _types(field)]
    return f"{' and '.join(alike)} is new: another name is another field" if alike else ""


def _values(old: Json, new: Json, at: str) -> Iterator[Change]:
    """Every change of what a field may hold."""
    was, is_now = _types(old), _types(new)
    if was - {"null"} != is_now - {"null"}:
        kind = Kind.WIDENED if _within(was, is_now) else Kind.NARROWED if _within(is_now, was) else Kind.OTHER
        yield Change(kind, at, f"was {_named(was)} and is {_named(is_now)} now")
    if was and is_now and "null" in is_now - was:
        yield Change(Kind.WIDENED, at, "was never null and may be null now")
    if was and is_now and "null" in was - is_now:
        yield Change(Kind.NARROWED, at, "might be null and may not be any more")
    default, other = old.get("default"), new.get("default")
    if default is not None and other is not None and default != other:
        yield Change(Kind.OTHER, at, f"had the default {default} and has the default {other} now")
    yield from _branches_changes(old, new, at)


def _branches_changes(old: Json, new: Json, at: str) -> Iterator[Change]:
    """Every change within the types that a field had and still has, branch by branch."""
    before, after = _branches(old), _branches(new)
    rest_before = [branch for branch in before if branch not in after]
    rest_after = [branch for branch in after if branch not in before]
    for group in _groups(rest_before, rest_after):
        was, is_now = ([b for b in branches if _type(b) in group] for branches in (rest_before, rest_after))
        # A type that came or went altogether has its sentence already.
        among = [_type(b) in group for b in before], [_type(b) in group for b in after]
        if len(was) == 1 and len(is_now) == 1:
            yield from _branch(was[0], is_now[0], at)
        elif was and is_now:
            yield Change(Kind.OTHER, at, f"may take other forms of {_named(group)} now")
        elif was and any(among[1]):
            yield Change(Kind.NARROWED, at, f"may take fewer forms of {_named(group)} now")
        elif is_now and any(among[0]):
            yield Change(Kind.WIDENED, at, f"may take more forms of {_named(group)} now")


def _groups(before: list[Json], after: list[Json]) -> list[set[str]]:
    """Types that are compared with each other: whole numbers are numbers, and no type at all is any of them."""
    types = {_type(branch) for branch in (*before, *after)}
    if "" in types:
        return [types]
    numbers = types & {"integer", "number"}
    return [*([numbers] if numbers else []), *({name} for name in sorted(types - numbers))]


def _branch(old: Json, new: Json, at: str) -> Iterator[Change]:
    if "" not in {_type(old), _type(new)} and not _alike(old, new):
        return
    yield from value_changes(old, new, at)
    if any(keyword in schema for schema in (old, new) for keyword in _FIELDS):
        yield from _fields(old, new, f"{at}." if at else "")
    if "items" in old or "items" in new:
        yield from _values(old.get("items", {}), new.get("items", {}), f"{at}[]")


def _alike(old: Json, new: Json) -> bool:
    return _type(old) == _type(new) or {_type(old), _type(new)} == {"integer", "number"}


def _branches(schema: Json) -> list[Json]:
    """What a field may be, one schema of one type for each possibility; null and the default aside."""
    rest = {key: value for key, value in schema.items() if key not in {"anyOf", "type", "default"}}
    if "anyOf" in schema:
        return [branch for option in schema["anyOf"] for branch in _branches(option)]
    declared = schema.get("type")
    if declared is None:
        return [rest]
    return [
        {"type": name, **rest} for name in ([declared] if isinstance(declared, str) else declared) if name != "null"
    ]


def _type(branch: Json) -> str:
    return str(branch.get("type", ""))


def _types(schema: Json) -> set[str]:
    """The types that a value may have; none where it may have any."""
    if "anyOf" in schema:
        each = [_types(option) for option in schema["anyOf"]]
        return set().union(*each) if all(each) else set()
    declared = schema.get("type", [])
    return {declared} if isinstance(declared, str) else set(declared)


def _within(fewer: set[str], more: set[str]) -> bool:
    """Whether every value of some types is one of some other types; a whole number is a number, no type is any."""
    return not more or (bool(fewer) and fewer <= more | ({"integer"} if "number" in more else set()))


def _named(types: set[str]) -> str:
    return " or ".join(sorted(_NAMES.get(name, name) for name in types - {"null", ""})) or "anything"
