"""Programs in Node for tests: packages installed by their lock file, once for this user, outside the checkout."""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.stacks.cache import cache_directory

_INSTALL_SECONDS = 240
_LISTS = ("package.json", "package-lock.json")
#: What is no part of a program: a reader of the examples may have installed them where they lie.
_LEFT_OUT = shutil.ignore_patterns("node_modules")


def node_missing() -> list[str]:
    """What has to be installed before a program in Node can run, as sentences."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    return [f"{name} is missing: install Node 18 or newer" for name in missing]


def packages_of(folder: Path) -> Path:
    """The `node_modules` that a folder's lock file describes; installed when they are not there."""
    lists = b"".join((folder / name).read_bytes() for name in _LISTS)
    place = cache_directory() / "node" / hashlib.sha256(lists).hexdigest()[:16]
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, then moved there at once: half a set is never seen, and of two the first stays.
        unfinished = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
        try:
            for name in _LISTS:
                shutil.copy(folder / name, unfinished)
            _install(unfinished)
            try:
                unfinished.rename(place)
            except OSError:
                if not place.is_dir():
                    raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return place / "node_modules"


def _install(directory: Path) -> None:
    command = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")
    done = subprocess.run(  # noqa: S603 - a command of our own
        command, cwd=directory, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"npm ci ended with {done.returncode}:\n{done.stdout}{done.stderr}")


@contextmanager
def program_of(folder: Path) -> Iterator[Path]:
    """A copy of a folder with its packages beside it: `node FILE` finds them there."""
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory) / folder.name
        shutil.copytree(folder, program, ignore=_LEFT_OUT)
        (program / "node_modules").symlink_to(packages_of(folder))
        yield program
