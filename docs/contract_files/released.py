"""The contracts as they were released: kept once for each version, and compared with those of today."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from docs.contract_files.compatibility import message_breaks, topic_breaks
from docs.contract_files.contracts import Contracts, contracts
from docs.contract_files.digests import DIGESTS, digests, tampered
from docs.contract_files.http_compatibility import http_breaks
from docs.contract_files.places import ASYNCAPI, OPENAPI, RELEASED, ROOT, SCHEMAS
from docs.contract_files.removals import removals

#: A heading of the changelog: this version was published.
_PUBLISHED = re.compile(r"^## \[(\d+\.\d+\.\d+)\]", re.MULTILINE)
_STANDS = "what was released does not change"


class NotReleased(Exception):
    """These contracts may not be kept as a release."""


class NotNewer(NotReleased):
    """This version, or a later one, was released already."""


class Breaking(NotReleased):
    """They would break somebody who relies on the last release."""


def breaks(files: Mapping[Path, str], root: Path = ROOT) -> list[str]:
    """One sentence for each change since the last release that would break somebody.

    Raises:
        NotCompared: a schema holds what is not compared; before the first release as well.
    """
    last, new = last_release(root), contracts(files)
    return broken(new if last is None else contracts(_kept(root / RELEASED / last)), new)


def broken(old: Contracts, new: Contracts) -> list[str]:
    """One sentence for each change from `old` to `new` that would break somebody."""
    found = [] if _version(new.version)[0] > _version(old.version)[0] else sorted(removals(old, new))
    found += message_breaks(old.messages, new.messages, old.asyncapi, new.asyncapi, old.version)
    found += topic_breaks(old.asyncapi, new.asyncapi)
    for service in (name for name in old.openapi if name in new.openapi):
        found += http_breaks(service, old.openapi[service], new.openapi[service])
    return found


def history(root: Path = ROOT) -> list[str]:
    """What is wrong with the releases themselves: edited, lost, or broken by the one after."""
    found = list(_edited(root))
    lost = [version for version in _published(root) if not (root / RELEASED / version).exists()]
    found += [f"{RELEASED / v} is missing, and CHANGELOG.md says that {v} was published: put it back" for v in lost]
    if not found:
        for before, after in pairwise(releases(root)):
            old, new = (contracts(_kept(root / RELEASED / version)) for version in (before, after))
            found += [f"{after} was released, and is not what {before} promised. {each}" for each in broken(old, new)]
    return found


def releases(root: Path = ROOT) -> list[str]:
    """Every version that was kept, the oldest first."""
    return sorted((path.name for path in (root / RELEASED).glob("*") if path.is_dir()), key=_version)


def last_release(root: Path = ROOT) -> str | None:
    """The latest version that was kept."""
    return next(reversed(releases(root)), None)


def release(files: Mapping[Path, str], root: Path = ROOT) -> Path:
    """Keep these files as their version's; answers where.

    Raises:
        NotNewer: this version or a later one was kept before, or this one was published.
        Breaking: they would break somebody who relies on the last release.
    """
    new = contracts(files).version
    place = RELEASED / new
    _is_newer(new, root)
    if found := [*history(root), *breaks(files, root)]:
        raise Breaking("\n".join(found))
    kept = {path: text for path, text in files.items() if path == ASYNCAPI or path.parent in {SCHEMAS, OPENAPI}}
    for path, text in {**kept, Path(DIGESTS): digests(kept)}.items():
        copy = root / place / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text)
    return place


def _is_newer(version: str, root: Path) -> None:
    place = RELEASED / version
    if version in _published(root):
        raise NotNewer(f"CHANGELOG.md says that {version} was published, and {_STANDS}: raise the version")
    if (root / place).exists():
        raise NotNewer(
            f"{place} is there already, and {_STANDS}: raise the version in pyproject.toml and run `make setup` "
            "first, or delete the folder if that version was never published"
        )
    last = last_release(root)
    if last is not None and _version(last) > _version(version):
        raise NotNewer(f"{last} was released already, and {version} is older: raise the version in pyproject.toml")


def _edited(root: Path) -> Iterator[str]:
    for version in releases(root):
        wrong = tampered(RELEASED / version, _kept(root / RELEASED / version))
        if wrong:
            yield (
                f"{', '.join(wrong)}: {_STANDS}. Put it back, "
                f"or, if {version} was never published, delete the folder and run `python -m docs.generate --release`."
            )


def _published(root: Path) -> list[str]:
    """The versions that the changelog has a heading for."""
    changelog = root / "CHANGELOG.md"
    return _PUBLISHED.findall(changelog.read_text()) if changelog.exists() else []


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def _kept(folder: Path) -> dict[Path, str]:
    return {path.relative_to(folder): path.read_text() for path in folder.rglob("*") if path.is_file()}
