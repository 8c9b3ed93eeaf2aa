"""The blocks of documents that are written from the code: topics, settings, metrics, decisions and so on.

A block begins with `<!-- generated: KIND [ARGUMENT] -->` and ends with `<!-- /generated -->`.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from docs.contract_files.page import messages_table, rejections_table
from docs.contract_files.places import ROOT
from docs.document_blocks.evidence import fault_rows, fault_run
from docs.document_blocks.metrics import Metric, declared_metrics
from shared.contracts.topics import SERVICES, TOPICS, Topic
from shared.settings import ServiceSettings, listing

_BLOCK = re.compile(
    r"(<!-- generated: (?P<kind>[a-z-]+)(?: (?P<argument>\w+))? -->\n).*?(<!-- /generated -->)", re.DOTALL
)
_PACKAGE = re.compile(r"[\w.-]+")
_HOUR_MS = 3_600_000
_DAY_HOURS = 24
_KIB = 1024
#: Of a diagram's classes: fill and edge.
_COLOURS = (("service", "#dbeafe", "#1d4ed8"), ("topic", "#fef3c7", "#b45309"))


def documents() -> list[Path]:
    """Every document of the product that may hold a block."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "services").glob("*/README.md")])


def with_blocks(text: str) -> str:
    """A document's text with every block as the code says.

    Raises:
        KeyError: a block names a kind that does not exist.
    """

    def block(found: re.Match[str]) -> str:
        return f"{found[1]}\n{KINDS[found['kind']](found['argument'] or '')}\n\n{found[4]}"

    return _BLOCK.sub(block, text)


def table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def topics(service: str) -> str:
    """The topic cards as a table; of one service: what it reads and what it writes."""
    if service:
        directions = [("in", t) for t in TOPICS.values() if service in t.consumers]
        directions += [("out", t) for t in TOPICS.values() if service in t.producers]
        rows = [(way, f"`{t.name}`", t.key, _codes(t.types), t.purpose) for way, t in directions]
        return table(("", "topic", "key", "types", "purpose"), rows)
    headings = ("topic", "key", "types", "partitions", "kept for", "at most", "purpose")
    return table(headings, [_card(topic) for topic in TOPICS.values()])


def _card(t: Topic) -> tuple[str, ...]:
    return f"`{t.name}`", t.key, _codes(t.types), str(t.partitions), _time(t), _size(t), t.purpose


def _codes(names: tuple[str, ...]) -> str:
    return " ".join(f"`{name}`" for name in names)


def _time(topic: Topic) -> str:
    hours = topic.retention_ms // _HOUR_MS
    return f"{hours // _DAY_HOURS} d" if hours >= _DAY_HOURS else f"{hours} h"


def _size(topic: Topic) -> str:
    kib = topic.max_bytes // _KIB
    return f"{kib // _KIB} MiB" if kib >= _KIB else f"{kib} KiB"


def topic_diagram(_: str) -> str:
    """Who writes which topic and who reads it, as a Mermaid flowchart; dead letters and replays are left out."""
    shown = [t for t in TOPICS.values() if not t.name.endswith((".deadletters", ".replays"))]
    people = {name for t in shown for name in (*t.producers, *_readers(t))} - set(SERVICES)
    lines = ["flowchart TB"]
    lines += [f'    {_node(name)}(["{name}"])' for name in sorted(people)]
    lines += [f'    {name}["<b>{name}</b>"]:::service' for name in SERVICES]
    lines += [f'    {_node(t.name)}[/"{t.name}"/]:::topic' for t in shown]
    for t in shown:
        lines += [f"    {_node(producer)} --> {_node(t.name)}" for producer in t.producers]
        lines += [f"    {_node(t.name)} --> {_node(reader)}" for reader in _readers(t)]
    lines += [f"    classDef {name} fill:{fill},stroke:{edge},color:#111" for name, fill, edge in _COLOURS]
    return "```mermaid\n" + "\n".join(lines) + "\n```"


def _readers(topic: Topic) -> tuple[str, ...]:
    """The services that read a topic; people who read it are one node, so that replies make no circle."""
    services = tuple(name for name in topic.consumers if name in SERVICES)
    people = ", ".join(name for name in topic.consumers if name not in SERVICES)
    return (*services, people) if people else services


def _node(name: str) -> str:
    return re.sub(r"\W", "_", name)


def settings(service: str) -> str:
    """Every setting of one service alone; without one, those that all services share."""
    shared = {variable for variable, _, _ in listing(ServiceSettings)}
    model = import_module(f"services.{service}.settings").Settings if service else ServiceSettings
    return table(("variable", "default", "what it is"), list(_settings(model, leave_out=shared if service else set())))


def _settings(model: type[BaseModel], *, leave_out: set[str]) -> Iterator[tuple[str, ...]]:
    for variable, default, description in listing(model):
        if variable not in leave_out:
            yield f"`{variable}`", f"`{default}`" if default else "(none)", description


def metrics(service: str) -> str:
    """The metrics of one service as a table; without one, of all of them and who has each."""
    holders: dict[Metric, list[str]] = {}
    for name in [service] if service else SERVICES:
        for metric in declared_metrics(name):
            holders.setdefault(metric, []).append(name)
    rows: list[tuple[str, ...]] = []
    for metric, services in sorted(holders.items(), key=lambda item: item[0].name):
        row = (f"`{metric.name}`", metric.kind, _codes(metric.labels), metric.says)
        rows.append(row if service else (*row, "all" if len(services) == len(SERVICES) else ", ".join(services)))
    return table(("metric", "kind", "labels", "says") + (() if service else ("of",)), rows)


def import_contracts() -> list[str]:
    """The names of the import contracts."""
    return [contract["name"] for contract in _project()["tool"]["importlinter"]["contracts"]]


def import_rules(_: str) -> str:
    """The import contracts as a list."""
    return "\n".join(f"- {name}." for name in import_contracts())


def dependencies(_: str) -> str:
    """What the product needs to run, with the licence that each package declares."""
    needed = [_PACKAGE.match(line) for line in _project()["project"]["dependencies"]]
    return table(("package", "licence"), [(f"`{name[0]}`", _licence(name[0])) for name in needed if name is not None])


def _licence(package: str) -> str:
    declared = metadata(package)
    classifiers = [c.split(" :: ")[-1] for c in declared.get_all("Classifier") or () if c.startswith("License ::")]
    return str(declared["License-Expression"] or ", ".join(classifiers) or declared["License"])


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def decisions(_: str) -> str:
    """The list of decision records, from their own titles."""
    records = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    titles = [(record.name, record.read_text().splitlines()[0].removeprefix("# ")) for record in records]
    return "\n".join(f"- [{title}]({name})" for name, title in titles)


KINDS: dict[str, Callable[[str], str]] = {
    "topics": topics,
    "topic-diagram": topic_diagram,
    "settings": settings,
    "metrics": metrics,
    "import-rules": import_rules,
    "dependencies": dependencies,
    "decisions": decisions,
    "fault-run": lambda _: fault_run(),
    "fault-rows": lambda _: table(*fault_rows()),
    "messages": lambda _: table(*messages_table()),
    "refusals": lambda _: table(*rejections_table()),
}
