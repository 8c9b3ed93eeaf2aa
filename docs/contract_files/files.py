"""The files that are written from the code: all of them, and how each differs from what stands there."""

from collections.abc import Mapping
from pathlib import Path

from docs.contract_files.asyncapi import asyncapi
from docs.contract_files.messages import every_message
from docs.contract_files.openapi import openapi
from docs.contract_files.places import ASYNCAPI, EXAMPLES, OPENAPI, ROOT, SCHEMAS, openapi_of, schema_of
from docs.contract_files.records import examples, examples_of
from docs.contract_files.schemas import as_json, schema
from shared.contracts.topics import SERVICES

#: Nothing else may lie there.
_FOLDERS = (SCHEMAS, EXAMPLES, ASYNCAPI.parent, OPENAPI)
COMMAND = "python -m docs.generate"


def generated() -> dict[Path, str]:
    """Every file's text by its place in the repository."""
    records = examples()
    files = {schema_of(name): as_json(schema(model, _value_of(name))) for name, model in every_message().items()}
    files |= {EXAMPLES / f"{name}.json": as_json(record) for name, record in records.items()}
    files |= {openapi_of(service): as_json(openapi(service)) for service in SERVICES}
    return {**files, ASYNCAPI: asyncapi()}


def differences(files: Mapping[Path, str], root: Path = ROOT) -> dict[Path, str]:
    """One sentence for each file that is not as the code says."""
    found = {}
    for place, text in files.items():
        if not (root / place).exists():
            found[place] = f"{place} is missing: run `{COMMAND}`"
        elif (root / place).read_text() != text:
            found[place] = (
                f"{place} is not what the code says: it was edited by hand, or the code has changed since. "
                f"Change the code (shared/contracts), then run `{COMMAND}`"
            )
    for folder in _FOLDERS:
        for left in sorted(path.relative_to(root) for path in (root / folder).rglob("*") if path.is_file()):
            if left not in files:
                found[left] = f"{left} is written by nothing in the code: run `{COMMAND}`, which removes it"
    return found


def write(files: Mapping[Path, str], root: Path = ROOT) -> list[Path]:
    """Make the repository as the code says; answers what was written or removed."""
    places = list(differences(files, root))
    for place in places:
        if place in files:
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).write_text(files[place])
        else:
            (root / place).unlink()
    return places


def _value_of(message_type: str) -> dict[str, object]:
    value: dict[str, object] = next(iter(examples_of(message_type).values()))["value"]
    return value
