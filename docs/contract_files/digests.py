"""What was released does not change: the digests of a release's files, kept beside them as `sha256sum` writes them."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

DIGESTS = "SHA256SUMS"


def digests(files: Mapping[Path, str]) -> str:
    """The text of the file of digests; `sha256sum --check SHA256SUMS` in the release's folder reads it too."""
    return "".join(f"{_digest(text)}  {path.as_posix()}\n" for path, text in sorted(files.items()))


def tampered(folder: Path, files: Mapping[Path, str]) -> list[str]:
    """What of a release's files is not as its digests say: names with what became of each."""
    kept = dict(files)
    written = kept.pop(Path(DIGESTS), None)
    if written is None:
        return [f"{folder / DIGESTS} is missing"]
    promised = {Path(path): digest for digest, _, path in (line.partition("  ") for line in written.splitlines())}
    changed = [f"{folder / p} was edited" for p, text in kept.items() if p in promised and promised[p] != _digest(text)]
    missing = [f"{folder / path} is missing" for path in promised if path not in kept]
    added = [f"{folder / path} was added" for path in kept if path not in promised]
    return sorted(changed + missing + added)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
