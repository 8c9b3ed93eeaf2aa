"""Guards as data: what each keeps, the change that takes it out, and the tests that must turn red then."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LISTS = Path(__file__).parent / "lists"
_FIELDS = {"keeps", "rows", "file", "old", "new", "tests", "raises"}
_REQUIRED = _FIELDS - {"rows", "raises"}


class WrongGuard(Exception):
    """An entry of the lists that cannot be used; the sentence says which and what to do."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A few lines of the product that keep a promise, and how to take them out."""

    name: str
    #: The promise, in a sentence.
    keeps: str
    #: The faults it stands against, by their numbers in the fault table.
    rows: tuple[int, ...]
    #: The file it stands in, from the root of the source.
    file: str
    #: Its text, which stands there exactly once, and what stands in its place when it is taken out.
    old: str
    new: str
    #: The tests (pytest's node ids, with or without parameters) that must fail then.
    tests: tuple[str, ...]
    #: An exception by whose name a test may end too, where that is how the lost promise shows; `timeout` where it is
    #: that something ends.
    raises: str | None = None

    def taken_out_of(self, source: str) -> str:
        """The file's text without the guard.

        Raises:
            WrongGuard: its text does not stand there exactly once.
        """
        if (times := source.count(self.old)) != 1:
            raise WrongGuard(
                f"{self.name}: its text stands {times} times in {self.file} instead of once; bring its entry up to date"
            )
        return source.replace(self.old, self.new)


def read_guards(folder: Path = LISTS) -> list[Guard]:
    """Every guard, file by file as they stand there.

    Raises:
        WrongGuard: a file cannot be read, a field is missing or unknown, or a name stands twice.
    """
    guards = [guard for path in sorted(folder.glob("*.toml")) for guard in _read(path)]
    names = [guard.name for guard in guards]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise WrongGuard(f"these names stand twice: {', '.join(twice)}")
    return guards


def chosen(guards: Sequence[Guard], names: Iterable[str]) -> list[Guard]:
    """Those of these names; all of them where none is named.

    Raises:
        WrongGuard: there is none of that name.
    """
    wanted = set(names)
    if unknown := sorted(wanted - {guard.name for guard in guards}):
        raise WrongGuard(f"there is no guard {', '.join(unknown)}; `--list` names them all")
    return [guard for guard in guards if guard.name in wanted] if wanted else list(guards)


def _read(path: Path) -> Iterator[Guard]:
    try:
        entries: Mapping[str, Mapping[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as failure:
        raise WrongGuard(f"{path.name} cannot be read: {failure}") from None
    for name, entry in entries.items():
        if not entry.keys() >= _REQUIRED or not entry.keys() <= _FIELDS:
            wrong = ", ".join(sorted((_REQUIRED - entry.keys()) | (entry.keys() - _FIELDS)))
            raise WrongGuard(f"{name} in {path.name}: missing or unknown: {wrong}")
        yield Guard(
            name=name,
            keeps=entry["keeps"],
            rows=tuple(entry.get("rows", ())),
            file=entry["file"],
            old=entry["old"],
            new=entry["new"],
            tests=tuple(entry["tests"]),
            raises=entry.get("raises"),
        )
