"""The note that `up` leaves in its folder, by which the commands that follow there find its system.

Beside it lies a lock, which `up` holds as long as it lives: however it ends, by SIGKILL too, the lock ends with it, and
the note that is left counts for nothing.
"""

import fcntl
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from ops.errors import OperatorError

_FOLDER = Path(".lesson-progress")
_NOTE = _FOLDER / "running.json"
_LOCK = _FOLDER / "up.lock"
_MEND = "end that system and start it again with `lesson-progress up`"
#: Long enough for a command that just looks whether the lock is held.
_PATIENCE_SECONDS = 1.0


@asynccontextmanager
async def only_one_here() -> AsyncIterator[Callable[[Mapping[str, str]], None]]:
    """Be the one system of this folder; the value notes how to reach it, and the note goes with the block.

    Raises:
        OperatorError: another runs here, or the folder cannot be written.
    """
    from ops.stacks.locks import locked  # noqa: PLC0415 - commands that only read the note need no stacks

    busy = "a system that `lesson-progress up` started runs in this folder: end it, or start this one in another folder"
    _make_lock()
    async with locked(_LOCK, seconds=_PATIENCE_SECONDS, busy=busy):
        _NOTE.unlink(missing_ok=True)
        try:
            yield _write
        finally:
            _NOTE.unlink(missing_ok=True)


def _make_lock() -> None:
    try:
        _FOLDER.mkdir(exist_ok=True)
        _LOCK.touch(mode=0o600)
    except OSError as failure:
        raise OperatorError(f"{_FOLDER} cannot be written here: {failure.strerror}") from failure


def _write(environment: Mapping[str, str]) -> None:
    """Note the variables; for this user's eyes, since an address may hold a password, and never half of them."""
    unfinished = _NOTE.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(dict(environment)))
    unfinished.replace(_NOTE)


def noted() -> dict[str, str] | None:
    """The LESSON_PROGRESS_* variables of the system that runs in this folder; None when none does.

    Raises:
        OperatorError: the note cannot be read.
    """
    if not _is_held(_LOCK):
        return None
    try:
        note = json.loads(_NOTE.read_bytes())
    except FileNotFoundError:  # it is still starting
        return None
    except (OSError, ValueError) as failure:
        raise OperatorError(f"{_NOTE} cannot be read ({type(failure).__name__}): {_MEND}") from failure
    if not (isinstance(note, dict) and all(isinstance(value, str) for value in note.values())):
        raise OperatorError(f"{_NOTE} is not what `up` writes: {_MEND}")
    return note


def _is_held(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
