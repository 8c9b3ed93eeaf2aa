"""Packages of other languages: installed once for this user, outside the checkout, under what their lists say."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ops.stacks.cache import cache_directory


def installed(language: str, lists: Sequence[Path], install: Callable[[Path], None]) -> Path:
    """The folder with the packages that these files name; filled by `install` when it is not there."""
    named = b"".join(path.read_bytes() for path in lists)
    place = cache_directory() / language / hashlib.sha256(named).hexdigest()[:16]
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, then moved there at once: half a set is never seen, and of two the first stays.
        unfinished = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
        try:
            install(unfinished)
            try:
                unfinished.rename(place)
            except OSError:
                if not place.is_dir():
                    raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return place
