"""A stack's directory: keys, data, logs; kept when it was given, removed with the stack when it was not."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ops.stacks.failures import StackError
from ops.stacks.locks import locked
from ops.stacks.warden import Warden

#: How long to wait for a stack whose process was killed: its warden holds the directory until the programs ended.
_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Home:
    """The directory of a running stack, which no other stack uses at the same time."""

    path: Path
    #: Nothing in it outlives the stack.
    temporary: bool
    #: Tied to this process: ends what was started here when this process is gone.
    warden: Warden

    @property
    def broker(self) -> Path:
        """The broker's configuration and data."""
        return self.path / "broker"

    @property
    def database(self) -> Path:
        """The database's data."""
        return self.path / "database"

    @property
    def logs(self) -> Path:
        """One file for each program, from this start on."""
        return self.path / "logs"


@asynccontextmanager
async def open_home(directory: Path | None) -> AsyncIterator[Home]:
    """Open a directory for a stack; None makes one that is removed at the end, unless an error ends the stack.

    Raises:
        StackError: another stack uses it, or it cannot be made.
    """
    path = _directory(directory)
    busy = f"Another stack uses {path}: stop it, or choose another directory"
    async with locked(path / ".lock", seconds=_PATIENCE_SECONDS, busy=busy) as lock:
        warden = await Warden.start(keep_open=lock)
        try:
            home = Home(path, temporary=directory is None, warden=warden)
            if home.temporary:
                warden.clear(path)
            _make_rooms(home)
            yield home
        except Exception:
            warden.keep(path)  # whoever looks for the reason needs the logs; Ctrl-C is no Exception
            raise
        finally:
            await warden.close()


def _directory(given: Path | None) -> Path:
    """The directory, made when it is not there, with its lock file."""
    try:
        path = Path(tempfile.mkdtemp(prefix="lesson-progress-")) if given is None else given.expanduser().resolve()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        (path / ".lock").touch(mode=0o600)
    except (OSError, RuntimeError) as failure:  # RuntimeError: a home directory that is nobody's
        raise _useless(given or Path(tempfile.gettempdir()), failure) from failure
    return path


def _make_rooms(home: Home) -> None:
    shutil.rmtree(home.logs, ignore_errors=True)
    try:
        for room in (home.broker, home.database, home.logs):
            room.mkdir(mode=0o700, exist_ok=True)
    except OSError as failure:
        raise _useless(home.path, failure) from failure


def _useless(directory: Path, failure: Exception) -> StackError:
    reason = failure.strerror if isinstance(failure, OSError) else failure
    return StackError(f"A stack cannot use the directory {directory}: {reason}; name another")
