"""What would break somebody, message by message and topic by topic, in sentences that name the field and who it is."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from docs.contract_files.changes import OTHER_FIELDS, Change, Kind, changes
from docs.contract_files.plain import plain
from docs.contract_files.sentences import said
from shared.contracts.topics import SERVICES

Json = dict[str, Any]

_DAY_MS = 86_400_000
_REQUIRED = {Kind.NEW_REQUIRED, Kind.NOW_REQUIRED}
_REFUSED = "they do not send it, and every command of theirs is refused"
#: What a change of a command means for those who send it; what may be sent in addition harms nobody.
_HARMS_WRITERS = {
    Kind.REMOVED: "what they send is not heard",
    Kind.NEW_REQUIRED: _REFUSED,
    Kind.NOW_REQUIRED: _REFUSED,
    Kind.OTHER: "theirs is refused",
    Kind.NARROWED: "what they may send today is refused",
}
_LACKING = "records of before lack it, and stay for {days:g} days"
#: What a change of an event or a reply means for those who read it.
_HARMS_READERS = {
    Kind.REMOVED: "they do not find it",
    Kind.NEW_REQUIRED: _LACKING,
    Kind.NOW_REQUIRED: _LACKING,
    Kind.NOW_OPTIONAL: "they rely on it",
    Kind.OTHER: "they expect what it was",
    Kind.NARROWED: "records of before are refused",
    Kind.WIDENED: "they rely on what was promised",
}


class Ends(NamedTuple):
    """Who writes a message and who reads it, by the card of its topic as it was released."""

    topic: str
    writers: list[str]
    readers: list[str]
    days: float

    @property
    def command(self) -> bool:
        """Whether it comes from outside."""
        return not set(self.writers) & set(SERVICES)

    @property
    def read_here(self) -> bool:
        """Whether a service reads it."""
        return bool(set(self.readers) & set(SERVICES))


def message_breaks(old: Json, new: Json, released: Json, present: Json, since: str) -> Iterator[str]:
    """What breaks by the messages: `old` and `new` are schemas by type, `released` and `present` AsyncAPI documents."""
    for message in (name for name in old if name in new):
        ends = ends_of(message, released)
        before, after = (document["components"]["messages"][message] for document in (released, present))
        for change in changes(old[message], new[message]):
            yield from _sentence(change, "field", message, ends, since)
        for change in changes(plain(before["headers"], released), plain(after["headers"], present)):
            yield from _sentence(change, "header", message, ends, since)
        was, is_now = (part["bindings"]["kafka"]["key"]["title"] for part in (before, after))
        if was != is_now:
            yield (
                f"{message}: the record's key was {was} and is {is_now} now. This breaks {said(ends.readers)}, reading "
                f"{ends.topic}: records come in another order. Keep the key, or {_beside(message)}."
            )


def topic_breaks(released: Json, present: Json) -> Iterator[str]:
    """A topic that holds less, or for a shorter time, than was promised."""
    for name, old in released["channels"].items():
        new = present["channels"].get(name)
        if new is not None and "bindings" in old:
            yield from _card_breaks(name, old, new)


def ends_of(message: str, released: Json) -> Ends:
    """Who writes and who reads a message, as the released document says."""
    name, channel = next(
        (name, channel)
        for name, channel in released["channels"].items()
        if message in channel["messages"] and "x-producers" in channel
    )
    kept = channel["bindings"]["kafka"]["topicConfiguration"]["retention.ms"]
    return Ends(name, channel["x-producers"], channel["x-consumers"], kept / _DAY_MS)


def _card_breaks(name: str, old: Json, new: Json) -> Iterator[str]:
    was, is_now = (channel["bindings"]["kafka"] for channel in (old, new))
    writers, readers = said(old["x-producers"]), said(old["x-consumers"])
    if is_now["partitions"] < was["partitions"]:
        yield f"{name}: {was['partitions']} partitions cannot become {is_now['partitions']}: a topic never shrinks."
    for setting, harmed in (
        ("retention.ms", f"{readers}, reading it late"),
        ("max.message.bytes", f"{writers}, writing to it"),
    ):
        before, after = (binding["topicConfiguration"][setting] for binding in (was, is_now))
        if after < before:
            yield f"{name}: {setting} was {before} and is {after} now. This breaks {harmed}. Keep what was promised."
    for setting in ("cleanup.policy", "message.timestamp.type"):
        before, after = (binding["topicConfiguration"].get(setting) for binding in (was, is_now))
        if after != before:
            yield f"{name}: {setting} was {before} and is {after} now. This breaks {readers}, reading it."


def _sentence(change: Change, part: str, message: str, ends: Ends, since: str) -> Iterator[str]:
    """The sentence of a change, where somebody would break by it."""
    harm = _harm(change.kind, part, ends)
    if harm is not None:
        had = f" ({'; '.join(filter(None, (f'{since} had it', change.hint)))})" if change.kind is Kind.REMOVED else ""
        yield f"{message}: {_named(part, change.field)} {change.says}{had}. {harm} {_remedy(change, message)}"


def _harm(kind: Kind, part: str, ends: Ends) -> str | None:
    """Who breaks by a change of this kind, and how; None where nobody does."""
    if ends.command:
        harm = _HARMS_WRITERS.get(kind)
        return harm and f"This breaks {said(ends.writers)}, writing to {ends.topic}: {harm}."
    if (kind is Kind.NARROWED and not ends.read_here) or (kind in _REQUIRED and part == "header"):
        return None
    harm = _HARMS_READERS[kind].format(days=ends.days)
    return f"This breaks {said(ends.readers)}, reading {ends.topic}: {harm}."


def _remedy(change: Change, message: str) -> str:
    if change.kind in _REQUIRED:
        return f"Make `{change.field}` optional, or {_beside(message)}."
    kept = "it" if not change.field or change.field.endswith(OTHER_FIELDS) else f"`{change.field}`"
    return f"Keep {kept} as it was, or {_beside(message)}."


def _named(part: str, field: str) -> str:
    """A field as the subject of a sentence."""
    if not field:
        return "the value"
    way, _, last = field.rpartition(".")
    if last == OTHER_FIELDS:
        return f"every other {part}{f' of `{way}`' if way else ''}"
    return f"the {part} `{field}`"


def _beside(message: str) -> str:
    name, _, major = message.rpartition(".v")
    return f'add {name}.v{int(major) + 1} beside it (CONTRIBUTING.md, "Add a message type")'
