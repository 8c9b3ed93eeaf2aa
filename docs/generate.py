#!/usr/bin/env python3
"""Writes what is made from the code: blocks of documents, and the contracts as files.

`python -m docs.generate` writes; with `--check` it only says which files differ from the code. Both compare the
contracts with the last release and name what would break, and the releases with each other and with their digests;
`--release` keeps the contracts of now as this version's release, where they break nobody.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from docs.contract_files import files
from docs.contract_files.places import ROOT
from docs.contract_files.plain import NotCompared
from docs.contract_files.released import NotReleased, breaks, history, release
from docs.document_blocks.kinds import documents, import_contracts, with_blocks
from docs.document_blocks.metrics import declared_metrics

__all__ = ["declared_metrics", "documents", "import_contracts", "main", "with_blocks"]


def differing_documents() -> dict[Path, str]:
    """One sentence for each document whose blocks are not as the code says."""
    return {
        path: f"{path.relative_to(ROOT)} is not what the code says: run `{files.COMMAND}`"
        for path in documents()
        if with_blocks(path.read_text()) != path.read_text()
    }


def main(arguments: Sequence[str]) -> int:
    """Write everything that differs, or with `--check` say what does; answers the exit code."""
    made = files.generated()
    try:
        broken = [*history(), *breaks(made)]
    except NotCompared as unknown:
        broken = [str(unknown)]
    stale = differing_documents()
    sentences = [*stale.values(), *files.differences(made).values()]
    if "--check" not in arguments:
        for path in stale:
            path.write_text(with_blocks(path.read_text()))
        written = [*(path.relative_to(ROOT) for path in stale), *files.write(made)]
        sentences = [f"written: {path}" for path in written]
        if "--release" in arguments and not broken:
            try:
                sentences.append(f"kept: {release(made)}")
            except NotReleased as refusal:
                broken = [str(refusal)]
    sys.stdout.write("".join(f"{sentence}\n" for sentence in [*sentences, *broken]))
    if broken and "--release" in arguments:
        sys.stdout.write("nothing was released\n")
    return 1 if broken or (sentences and "--check" in arguments) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
