"""What a stack says when it cannot go on: one clear sentence."""

from pathlib import Path

from ops.errors import OperatorError

_LINES = 15
_BYTES = 16_384


class StackError(OperatorError):
    """A stack cannot be started, or one of its programs ended by itself; the text is for the person at the screen."""


def last_lines(log: Path) -> str:
    """The end of a program's log, for the sentence that says why it failed."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _BYTES))
        lines = file.read().decode(errors="replace").splitlines()[-_LINES:]
    return "\n".join(f"  | {line}" for line in lines) if lines else "  | (it is empty)"


def failure_of(title: str, happened: str, log: Path) -> StackError:
    """The sentence about a program, with the end of its log and where the whole is."""
    return StackError(f"{title} {happened}. The end of its log, {log}:\n{last_lines(log)}")
