"""Prints the part of requirements.lock that some packages need, hashes and all: `pinned.py [PACKAGE…]`.

Without a name: what the product itself needs at run time, without its extras. Pip would refuse a package that
is needed and left out, since it reads the printed part with --require-hashes.
"""

# ruff: noqa: INP001 - a program by itself, in no package

import re
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_VIA = re.compile(r"^ {4}#(?: via)? +(\S+)", re.MULTILINE)


class Pin(NamedTuple):
    """One package of the lock: its lines, and who asked for it."""

    lines: str
    wanted_by: frozenset[str]


def canonical(name: str) -> str:
    """A package's one spelling (PEP 503), without extras and versions."""
    found = re.match(r"[A-Za-z0-9._-]+", name)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def read_lock(text: str) -> dict[str, Pin]:
    """The packages of a lock that `uv pip compile` wrote."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    return {canonical(b): Pin(b, frozenset(map(canonical, _VIA.findall(b)))) for b in blocks if canonical(b)}


def needed(lock: Mapping[str, Pin], names: Collection[str]) -> Iterator[str]:
    """The lines of these packages and of whatever they need.

    Raises:
        SystemExit: one of them is not in the lock.
    """
    chosen = {canonical(name) for name in names}
    if missing := sorted(chosen - lock.keys()):
        sys.exit(f"not in the lock: {', '.join(missing)}; write it again with `make lock`")
    while more := {name for name, pin in lock.items() if pin.wanted_by & chosen} - chosen:
        chosen |= more
    return (pin.lines for name, pin in lock.items() if name in chosen)


def main(names: Collection[str]) -> None:
    """Print what is needed."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    lock = read_lock(Path("requirements.lock").read_text())
    sys.stdout.writelines(needed(lock, names or project["dependencies"]))


if __name__ == "__main__":
    main(sys.argv[1:])
