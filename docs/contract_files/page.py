"""The tables of the contracts' page for gateway teams."""

import os
from pathlib import Path

from docs.contract_files.asyncapi.messages import key_of
from docs.contract_files.messages import every_message, topic_of, writers_of
from docs.contract_files.places import EXAMPLES, schema_of
from docs.contract_files.records import examples_of, name_of
from docs.contract_files.story import refusals
from shared.contracts.rejections import CommandRejected

#: Where the page is; links start there.
_PAGE = Path("docs/contracts")


Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def messages_table() -> Table:
    """Every message with its schema, an example, its topic and its key, and who is at each end."""
    rows: list[tuple[str, ...]] = []
    for name, model in every_message().items():
        topic = topic_of(name)
        example = (
            "below"
            if name == CommandRejected.TYPE
            else _link("example", EXAMPLES / f"{next(iter(examples_of(name)))}.json")
        )
        ends = f"{', '.join(writers_of(name))} → {', '.join(topic.consumers)}"
        schema = _link("schema", schema_of(name))
        rows.append((f"`{name}`", schema, example, f"`{topic.name}`", key_of(model, topic), ends))
    return ("message", "schema", "example", "topic", "key", "from → to"), rows


def rejections_table() -> Table:
    """Every refusal with its example."""
    rows: list[tuple[str, ...]] = [
        (str(refusal.code), refusal.reason, _link("example", EXAMPLES / f"{name_of(refusal)}.json"))
        for _, refusal in refusals()
    ]
    return ("code", "reason", "example"), rows


def _link(text: str, place: Path) -> str:
    return f"[{text}]({os.path.relpath(place, _PAGE)})"
