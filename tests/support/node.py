"""Programs in Node for tests: packages installed by their lock file, once for this user, outside the checkout."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.installed import installed

#: What the packages of the tests ask for; the gateways to copy do with less.
NEEDED = (20, 16)
_INSTALL_SECONDS = 240
_NUMBER = re.compile(r"\d+")
_LISTS = ("package.json", "package-lock.json")
#: What is no part of a program: a reader of the examples may have installed them where they lie.
_LEFT_OUT = shutil.ignore_patterns("node_modules")


def node_missing() -> list[str]:
    """What has to be installed before a program in Node can run, as sentences."""
    install = f"install Node {_shown(NEEDED)} or newer"
    if missing := [name for name in ("node", "npm") if shutil.which(name) is None]:
        return [f"{name} is missing: {install}" for name in missing]
    said = subprocess.run(("node", "--version"), capture_output=True, text=True, check=True).stdout.strip()  # noqa: S607 - whichever is installed
    found = tuple(map(int, _NUMBER.findall(said)[:2]))
    return [] if found >= NEEDED else [f"node is {said}: {install}"]


def _shown(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def packages_of(folder: Path) -> Path:
    """The `node_modules` that a folder's lock file describes; installed when they are not there."""
    lists = [folder / name for name in _LISTS]

    def install(directory: Path) -> None:
        for path in lists:
            shutil.copy(path, directory)
        _install(directory)

    return installed("node", lists, install) / "node_modules"


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
