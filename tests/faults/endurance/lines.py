"""What services wrote into their logs meanwhile: how many lines of which kind, and how often the same one."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LOUD = frozenset({"warning", "error"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a service's log."""

    level: str
    #: What happened, in words: a library's line is its logger and its message.
    text: str
    #: Whether it holds the way of an error through the code, or is no line of ours at all.
    traceback: bool

    @property
    def loud(self) -> bool:
        """Whether somebody is to look at it."""
        return self.level in _LOUD


class Reading:
    """Reads a log on from where it was when this was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = path.stat().st_size

    def lines(self) -> list[Line]:
        """What was written since."""
        with self._path.open("rb") as log:
            log.seek(self._position)
            return [read(line) for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]


def read(line: str) -> Line:
    """One line as it stands in the log."""
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError:
        return Line("error", line[:80], traceback=True)
    if event.get("event") == "library":
        text = f"{event.get('logger')}: {event.get('message')}"
    else:
        text = " ".join(str(event[name]) for name in ("event", "reason", "error") if event.get(name))
    return Line(str(event.get("level")), text, traceback="stack" in event)


@dataclass(frozen=True, slots=True)
class Bound:
    """How much a service may say about one outage."""

    lines: int
    repeats: int

    def broken_by(self, lines: Sequence[Line]) -> list[str]:
        """How these lines are a flood, in sentences; none when they are not."""
        loud = [line for line in lines if line.loud]
        said = Counter(line.text for line in loud)
        problems = [f"{text!r} {times} times" for text, times in said.items() if times > self.repeats]
        if len(loud) > self.lines:
            problems.insert(0, f"{len(loud)} lines of warning or error")
        if tracebacks := sum(line.traceback for line in loud):
            problems.append(f"{tracebacks} tracebacks")
        return problems
