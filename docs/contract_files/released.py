"""The contracts as they were released: kept once for each version, and compared with those of today."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from docs.contract_files.compatibility import message_breaks, topic_breaks
from docs.contract_files.http_compatibility import http_breaks
from docs.contract_files.places import ASYNCAPI, OPENAPI, RELEASED, ROOT, SCHEMAS

Json = dict[str, Any]

_SUFFIX = ".schema.json"


class NotNewer(Exception):
    """This version was released already."""


class Contracts(NamedTuple):
    """Everything that crosses a border, of one version."""

    version: str
    #: Schemas by message type.
    messages: dict[str, Json]
    #: Topics, headers, keys.
    asyncapi: Json
    #: HTTP by service.
    openapi: dict[str, Json]


def contracts(files: Mapping[Path, str]) -> Contracts:
    """The contracts that are written in these files."""
    document = yaml.safe_load(files[ASYNCAPI])
    schemas = {p.name.removesuffix(_SUFFIX): json.loads(text) for p, text in files.items() if p.parent == SCHEMAS}
    http = {p.stem: json.loads(text) for p, text in files.items() if p.parent == OPENAPI}
    return Contracts(document["info"]["version"], schemas, document, http)


def breaks(files: Mapping[Path, str], root: Path = ROOT) -> list[str]:
    """One sentence for each change since the last release that would break somebody."""
    last = last_release(root)
    return [] if last is None else broken(contracts(_kept(root / RELEASED / last)), contracts(files))


def broken(old: Contracts, new: Contracts) -> list[str]:
    """One sentence for each change from `old` to `new` that would break somebody."""
    since = old.version
    found = [*message_breaks(old.messages, new.messages, old.asyncapi, new.asyncapi, since)]
    found += topic_breaks(old.asyncapi, new.asyncapi, since)
    for service, document in old.openapi.items():
        if service in new.openapi:
            found += http_breaks(service, document, new.openapi[service], since)
        else:
            found.append(f"{service}: its HTTP side is gone ({since} had it). This breaks its callers. Keep it.")
    return found


def last_release(root: Path = ROOT) -> str | None:
    """The latest version that was kept."""
    kept = [path.name for path in (root / RELEASED).glob("*") if path.is_dir()]
    return max(kept, key=lambda version: tuple(map(int, version.split("."))), default=None)


def release(files: Mapping[Path, str], root: Path = ROOT) -> Path:
    """Keep these files as their version's; answers where.

    Raises:
        NotNewer: this version was kept before; released contracts do not change.
    """
    place = RELEASED / contracts(files).version
    if (root / place).exists():
        raise NotNewer(f"{place} is there already: raise the version in pyproject.toml and run `make setup` first")
    for path, text in files.items():
        if path == ASYNCAPI or path.parent in {SCHEMAS, OPENAPI}:
            copy = root / place / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text)
    return place


def _kept(folder: Path) -> dict[Path, str]:
    return {path.relative_to(folder): path.read_text() for path in folder.rglob("*") if path.is_file()}
