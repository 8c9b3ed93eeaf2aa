"""SecantusDB: MongoDB's protocol from a server in Python and from one in Rust, always run as processes of their own."""

import os
import shutil
import sysconfig
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ops.stacks.cache import cache_directory
from ops.stacks.home import Home
from ops.stacks.ports import HOST
from ops.stacks.programs import Program
from ops.stacks.readiness import database_answers

RUST_VERSION = "0.5.3-beta.196"
_RUST_ROOT = "~/.cache/lesson-progress/secantus"
_RUST_SERVER = "secantusd-rs"
_RUST_SERVER_VARIABLE = "LESSON_PROGRESS_SECANTUSD"
_PYTHON_SERVER = "secantusd-py"

#: Both servers flush their log once for each update of a bulk, unless the bulk is one transaction.
RUST_SETTINGS = {"LESSON_PROGRESS_MONGO__BULK_IN_TRANSACTION": "true"}
#: The Python server compares every document with every key of an `$in`.
PYTHON_SETTINGS = RUST_SETTINGS | {"LESSON_PROGRESS_MONGO__KEYS_PER_QUERY": "50"}


def python_server_missing() -> list[str]:
    """What has to be installed before the Python server can start, as sentences."""
    if _python_server() is None:
        return ["SecantusDB, the embedded database, is missing: install lesson-progress[embedded]"]
    return []


def rust_server_missing() -> list[str]:
    """What has to be installed before the Rust server can start, as sentences."""
    if _rust_server() is not None:
        return []
    install = f"cargo install secantus-mdb --version {RUST_VERSION} --ignore-rust-version --root {_RUST_ROOT}"
    elsewhere = f"one that is elsewhere is named by {_RUST_SERVER_VARIABLE}, or found on the PATH as {_RUST_SERVER}"
    return [f"SecantusDB's Rust server is missing: `{install}` builds it in a few minutes; {elsewhere}"]


def python_server(home: Home, *, port: int) -> Program:
    """The Python server on this port."""
    try:
        title = f"SecantusDB {version('secantusdb')} (Python)"
    except PackageNotFoundError:
        title = "SecantusDB (Python)"
    return _server(home, port, str(_python_server()), title, cache_size="256M")


def rust_server(home: Home, *, port: int) -> Program:
    """The Rust server on this port."""
    return _server(home, port, str(_rust_server()), f"SecantusDB {RUST_VERSION} (Rust)", cache_size="512M")


def _server(home: Home, port: int, binary: str, title: str, *, cache_size: str) -> Program:
    place = ("--host", HOST, "--port", str(port), "--storage-path", str(home.database))
    return Program(
        name="database",
        title=title,
        # Without a flush at each commit an acknowledged write could be lost.
        command=(binary, *place, "--cache-size", cache_size, "--sync-on-commit", "--log-level", "WARNING"),
        address=f"{HOST}:{port}",
        answers=partial(database_answers, HOST, port),
        directory=home.database,
    )


def _python_server() -> str | None:
    return shutil.which(_PYTHON_SERVER, path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}")


def _rust_server() -> str | None:
    if named := os.environ.get(_RUST_SERVER_VARIABLE):
        return shutil.which(named)
    cached = Path(cache_directory(), "secantus", "bin", _RUST_SERVER)
    return shutil.which(cached) or shutil.which(_RUST_SERVER)
