"""The contracts as they were released: kept once for each version, and compared with those of today."""

from collections.abc import Mapping
from pathlib import Path

from docs.contract_files.compatibility import message_breaks, topic_breaks
from docs.contract_files.contracts import Contracts, contracts
from docs.contract_files.http_compatibility import http_breaks
from docs.contract_files.places import ASYNCAPI, OPENAPI, RELEASED, ROOT, SCHEMAS
from docs.contract_files.removals import removals


class NotNewer(Exception):
    """This version was released already."""


def breaks(files: Mapping[Path, str], root: Path = ROOT) -> list[str]:
    """One sentence for each change since the last release that would break somebody."""
    last = last_release(root)
    return [] if last is None else broken(contracts(_kept(root / RELEASED / last)), contracts(files))


def broken(old: Contracts, new: Contracts) -> list[str]:
    """One sentence for each change from `old` to `new` that would break somebody."""
    found = [] if _version(new.version)[0] > _version(old.version)[0] else sorted(removals(old, new))
    found += message_breaks(old.messages, new.messages, old.asyncapi, new.asyncapi, old.version)
    found += topic_breaks(old.asyncapi, new.asyncapi)
    for service in (name for name in old.openapi if name in new.openapi):
        found += http_breaks(service, old.openapi[service], new.openapi[service])
    return found


def last_release(root: Path = ROOT) -> str | None:
    """The latest version that was kept."""
    kept = [path.name for path in (root / RELEASED).glob("*") if path.is_dir()]
    return max(kept, key=_version, default=None)


def release(files: Mapping[Path, str], root: Path = ROOT) -> Path:
    """Keep these files as their version's; answers where.

    Raises:
        NotNewer: this version was kept before; released contracts do not change.
    """
    place = RELEASED / contracts(files).version
    if (root / place).exists():
        raise NotNewer(
            f"{place} is there already, and what was released does not change: raise the version in "
            "pyproject.toml and run `make setup` first, or delete the folder if that version was never published"
        )
    for path, text in files.items():
        if path == ASYNCAPI or path.parent in {SCHEMAS, OPENAPI}:
            copy = root / place / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text)
    return place


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def _kept(folder: Path) -> dict[Path, str]:
    return {path.relative_to(folder): path.read_text() for path in folder.rglob("*") if path.is_file()}
