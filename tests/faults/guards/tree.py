"""Copies of the source to take guards out of: the checkout itself is never changed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from tests.faults.guards.guard import Guard

ROOT = Path(__file__).parents[3]
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", ".hypothesis", ".lesson-progress", "__pycache__", "build", "dist", "node_modules"
)
#: What a changed file says of its age: an age of its own, so that Python compiles each change anew (it compares age
#: and size with what it compiled last).
_AGES = count(1)


class Tree:
    """One copy of the whole source, in which one guard at a time is taken out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.copytree(ROOT, path, ignore=_LEFT_OUT)

    @contextmanager
    def without(self, guard: Guard | None) -> Iterator[None]:
        """The copy without this guard; whole again after the block.

        Raises:
            WrongGuard: the guard is not where its entry says.
        """
        if guard is None:
            yield
            return
        file = self.path / guard.file
        whole, age = file.read_text(encoding="utf-8"), file.stat().st_mtime
        changed = guard.taken_out_of(whole)
        try:
            _write(file, changed, next(_AGES))
            yield
        finally:
            _write(file, whole, age)


def _write(file: Path, text: str, age: float) -> None:
    file.write_text(text, encoding="utf-8")
    os.utime(file, (age, age))
