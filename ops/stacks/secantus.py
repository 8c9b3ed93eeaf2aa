"""SecantusDB: MongoDB's protocol from a server in Python and from one in Rust, always run as processes of their own."""

import os
import shutil
import sys
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from ops.stacks.cache import cache_directory
from ops.stacks.failures import StackError
from ops.stacks.home import Home
from ops.stacks.locks import locked
from ops.stacks.ports import HOST
from ops.stacks.programs import Program, Programs
from ops.stacks.readiness import database_answers

RUST_VERSION = "0.5.3-beta.196"
_RUST_SERVER = "secantusd-rs"
_RUST_SERVER_VARIABLE = "LESSON_PROGRESS_SECANTUSD"
_CARGO_INSTALL = ("cargo", "install", "secantus-mdb", "--version", RUST_VERSION, "--ignore-rust-version")
_BUILD_SECONDS = 3600.0
_PYTHON_SERVER = "secantus"

#: Both servers flush their log once for each update of a bulk, unless the bulk is one transaction.
RUST_SETTINGS = {"LESSON_PROGRESS_MONGO__BULK_IN_TRANSACTION": "true"}
#: The Python server compares every document with every key of an `$in`.
PYTHON_SETTINGS = RUST_SETTINGS | {"LESSON_PROGRESS_MONGO__KEYS_PER_QUERY": "50"}


def python_server_missing() -> list[str]:
    """What has to be installed before the Python server can start, as sentences."""
    if find_spec(_PYTHON_SERVER) is None:
        return ["SecantusDB, the embedded database, is missing: install lesson-progress[embedded]"]
    return []


def rust_server_missing() -> list[str]:
    """What has to be installed before the Rust server can start, as sentences."""
    if installed_rust_server() is not None:
        return []
    if named := os.environ.get(_RUST_SERVER_VARIABLE):
        return [f"SecantusDB's Rust server is missing: {_RUST_SERVER_VARIABLE} names {named}, which cannot be executed"]
    install = f"{' '.join(_CARGO_INSTALL)} --root ~/.cache/lesson-progress/secantus"
    elsewhere = f"one that is elsewhere is named by {_RUST_SERVER_VARIABLE}, or found on the PATH as {_RUST_SERVER}"
    return [f"SecantusDB's Rust server is missing: `{install}` builds it in a few minutes; {elsewhere}"]


async def build_rust_server(programs: Programs) -> str:
    """The Rust server, built into the cache when there is none.

    Raises:
        StackError: there is no cargo, or it failed.
    """
    root = _rust_root()
    root.mkdir(parents=True, exist_ok=True)
    busy = f"Another process has been building SecantusDB's Rust server in {root} for too long"
    async with locked(root / ".lock", seconds=_BUILD_SECONDS, busy=busy):
        if installed_rust_server() is None:
            await _build(programs, root)
    if (server := installed_rust_server()) is None:
        raise StackError(rust_server_missing()[0])
    return server


async def _build(programs: Programs, root: Path) -> None:
    if os.environ.get(_RUST_SERVER_VARIABLE):
        raise StackError(rust_server_missing()[0])
    if shutil.which("cargo") is None:
        raise StackError("cargo is missing, which builds SecantusDB's Rust server: install Rust, for example by rustup")
    programs.tell(f"cargo builds SecantusDB {RUST_VERSION} into {root}, once, in a few minutes")
    command = (*_CARGO_INSTALL, "--root", str(root))
    await programs.run("cargo", "cargo", command, directory=root, patience_seconds=_BUILD_SECONDS)


def python_server(home: Home, *, port: int) -> Program:
    """The Python server on this port."""
    title = f"SecantusDB {version('secantusdb')} (Python)"
    return _server(home, port, (sys.executable, "-m", _PYTHON_SERVER), title, cache_size="256M")


def rust_server(home: Home, *, port: int) -> Program:
    """The Rust server on this port."""
    server = str(installed_rust_server())
    # Only the one that was built into the cache is certainly of this version.
    of_the_cache = Path(server).is_relative_to(_rust_root())
    title = f"SecantusDB {RUST_VERSION} (Rust)" if of_the_cache else f"SecantusDB ({server})"
    return _server(home, port, (server,), title, cache_size="512M")


def _server(home: Home, port: int, server: tuple[str, ...], title: str, *, cache_size: str) -> Program:
    place = ("--host", HOST, "--port", str(port), "--storage-path", str(home.database))
    return Program(
        name="database",
        title=title,
        # Without a flush at each commit an acknowledged write could be lost.
        command=(*server, *place, "--cache-size", cache_size, "--sync-on-commit", "--log-level", "WARNING"),
        address=f"{HOST}:{port}",
        answers=partial(database_answers, HOST, port),
        directory=home.database,
    )


def _rust_root() -> Path:
    return cache_directory() / "secantus"


def installed_rust_server() -> str | None:
    """Where the Rust server is: named by the environment, in the cache, or on the PATH; None when it is nowhere."""
    if named := os.environ.get(_RUST_SERVER_VARIABLE):
        return shutil.which(named)
    return shutil.which(_rust_root() / "bin" / _RUST_SERVER) or shutil.which(_RUST_SERVER)
