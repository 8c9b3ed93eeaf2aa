"""References between documents: what is given twice, and what refers to nothing."""

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ops.platform.problems import ImportProblem


@dataclass(frozen=True, slots=True)
class Source:
    """Where the documents of one collection were read: a file, and the line of each, in the documents' order."""

    file: str
    lines: Sequence[int]


def repeated(keys: Iterable[Hashable], source: Source, field: str, what: str) -> Iterator[ImportProblem]:
    """Find each key that stood in an earlier line already; `what` names the key in the sentence."""
    first: dict[Hashable, int] = {}
    for key, line in zip(keys, source.lines, strict=True):
        earlier = first.setdefault(key, line)
        if earlier != line:
            yield ImportProblem(source.file, line, field, f"{what} is given already, in line {earlier}")


def dangling(
    keys: Iterable[str], known: Collection[str], source: Source, field: str, target: str
) -> Iterator[ImportProblem]:
    """Find each key that is none of the `known` ones, which stand in the file `target`."""
    for key, line in zip(keys, source.lines, strict=True):
        if key not in known:
            yield ImportProblem(source.file, line, field, f"{key!r} is not in {target}")
