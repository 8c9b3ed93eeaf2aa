"""Everything that crosses a border, of one version, as its files say."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from docs.contract_files.places import ASYNCAPI, OPENAPI, SCHEMAS

Json = dict[str, Any]

_SUFFIX = ".schema.json"


class Contracts(NamedTuple):
    """The contracts of one version."""

    version: str
    #: Schemas by message type.
    messages: dict[str, Json]
    #: Topics, headers, keys.
    asyncapi: Json
    #: HTTP by service.
    openapi: dict[str, Json]


def contracts(files: Mapping[Path, str]) -> Contracts:
    """The contracts that are written in these files."""
    document = yaml.load(files[ASYNCAPI], Loader=yaml.CSafeLoader)
    schemas = {p.name.removesuffix(_SUFFIX): json.loads(text) for p, text in files.items() if p.parent == SCHEMAS}
    http = {p.stem: json.loads(text) for p, text in files.items() if p.parent == OPENAPI}
    return Contracts(document["info"]["version"], schemas, document, http)
