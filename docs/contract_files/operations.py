"""What a service no longer does with a message: it does not take it, or does not answer with what it did."""

from collections.abc import Iterator
from typing import Any

from docs.contract_files.sentences import said

Json = dict[str, Any]

_KEEP = "Keep it until the next major version of the product."


def operation_removals(released: Json, present: Json, since: str) -> Iterator[str]:
    """One sentence for each operation and each reply that was there; both are AsyncAPI documents."""
    for name, old in released["operations"].items():
        new = present["operations"].get(name)
        topic, messages = _name(old["channel"]), [_name(message) for message in old["messages"]]
        here = present["channels"].get(topic, {}).get("messages", {})
        if not all(message in here for message in messages):
            continue  # The topic or the message is gone, which has its own sentence.
        what = f"{name} ({old['action']}s {said(messages)})"
        if new is None:
            yield f"{what}: the operation is gone ({since} had it). This breaks {_others(old, released)}. {_KEEP}"
            continue
        for sentence in _changes(old, new, since):
            yield f"{what}: {sentence} This breaks {_others(old, released)}. {_KEEP}"


def _changes(old: Json, new: Json, since: str) -> Iterator[str]:
    for part in ("action", "channel", "messages"):
        was, is_now = _shown(old[part]), _shown(new[part])
        if was != is_now:
            yield f"the {part} was {was} and is {is_now} now."
    if new.get("security") and not old.get("security"):
        yield "it asks for a token now, and did not before."
    was, is_now = old.get("reply", {}), new.get("reply", {})
    answers = [_name(message) for message in is_now.get("messages", [])]
    for message in map(_name, was.get("messages", [])):
        if message not in answers:
            yield f"the reply {message} is gone ({since} had it)."
    if was and is_now:
        before, after = (_shown(reply.get("channel", {})) for reply in (was, is_now))
        if before != after:
            yield f"replies went to {before} and go to {after} now."
        before, after = (str(reply.get("address", {}).get("location")) for reply in (was, is_now))
        if before != after:
            yield f"where replies go was said by {before} and is said by {after} now."


def _others(operation: Json, released: Json) -> str:
    """Who is at the other end of an operation."""
    topic = _name(operation["channel"])
    sides = ("x-producers", "writing to") if operation["action"] == "receive" else ("x-consumers", "reading")
    return f"{said(released['channels'][topic].get(sides[0], ['gateways']))}, {sides[1]} {topic}"


def _shown(part: Any) -> str:
    if isinstance(part, list):
        return said(sorted(map(_name, part)))
    return part if isinstance(part, str) else _name(part)


def _name(reference: Json) -> str:
    return str(reference.get("$ref", "none")).rpartition("/")[2]
