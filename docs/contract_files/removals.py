"""What is gone altogether: messages, topics, replies, refusals, queries. They may go with the next major version."""

from collections.abc import Iterator, Mapping
from typing import Any

from docs.contract_files.compatibility import ends_of
from docs.contract_files.contracts import Contracts
from docs.contract_files.operations import operation_removals
from docs.contract_files.refusals import refusal_removals
from docs.contract_files.sentences import said

Json = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "patch")
_KEEP = "Keep it until the next major version of the product."


def removals(old: Contracts, new: Contracts) -> Iterator[str]:
    """One sentence for each thing that was in the contracts `old` and is not in `new`."""
    had = f"{old.version} had it"
    for message in old.messages.keys() - new.messages.keys():
        yield f"{message}: the message is gone ({had}). This breaks {_whom(message, old.asyncapi)}. {_KEEP}"
    yield from _of_topics(old.asyncapi["channels"], new.asyncapi["channels"], had)
    yield from operation_removals(old.asyncapi, new.asyncapi, old.version)
    yield from refusal_removals(old.asyncapi, new.asyncapi, old.version)
    for service, document in old.openapi.items():
        for where in _queries(document) - _queries(new.openapi.get(service, {})):
            yield f"{service}, {where}: the query is gone ({had}). This breaks its callers. {_KEEP}"


def _of_topics(old: Mapping[str, Json], new: Mapping[str, Json], had: str) -> Iterator[str]:
    for name, channel in old.items():
        readers = said(channel.get("x-consumers", ["gateways"]))
        if name not in new:
            yield f"{name}: the topic is gone ({had}). This breaks {readers}, reading it. {_KEEP}"
            continue
        was, is_now = channel["address"], new[name]["address"]
        if was != is_now:
            whom = said([*channel.get("x-producers", []), *channel.get("x-consumers", ["gateways"])])
            yield f"{name}: the topic's address was {was} and is {is_now} now. This breaks {whom}. {_KEEP}"
        for message in channel["messages"].keys() - new[name]["messages"].keys():
            yield f"{name}: {message} is not there any more ({had}). This breaks {readers}, reading it. {_KEEP}"


def _whom(message: str, released: Json) -> str:
    ends = ends_of(message, released)
    return f"{said(ends.writers)}, writing it" if ends.command else f"{said(ends.readers)}, reading it"


def _queries(document: Json) -> set[str]:
    paths = document.get("paths", {})
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in METHODS if method in methods}
