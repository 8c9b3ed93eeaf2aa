"""What is wrong is said once a minute: an outage fills no log, and its first line is not lost among its repetitions.

A broker that is away makes its client write a dozen lines a second and ours one for each try. A person needs the first
of each, how often it came again, and the line that says the outage is over.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from structlog import DropEvent
from structlog.typing import EventDict, WrappedLogger

#: How long a line is not written again, in seconds.
SILENT_SECONDS = 60.0
#: How many different lines one library writes in that time.
LIBRARY_LINES = 5
_LOUD = frozenset({"warning", "error"})
#: What differs between two lines that say the same.
_VARYING = frozenset({"timestamp", "attempt", "seconds", "partition", "offset", "records", "replies", "in_a_row"})
_REMEMBERED = 1000


@dataclass(slots=True)
class _Said:
    until: float
    left: int
    unsaid: int = 0


class Repeats:
    """Leaves out warnings and errors that say again what was said; `repeated` in the next one counts them.

    Of a library, whatever it says, so many lines are written; `repeated` counts what it said besides.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._said: OrderedDict[str, _Said] = OrderedDict()

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """Let a line through, or not.

        Raises:
            DropEvent: it is left out.
        """
        if event["level"] not in _LOUD:
            return event
        unsaid = self._unsaid(repr([item for item in event.items() if item[0] not in _VARYING]), lines=1)
        if event["event"] == "library":
            unsaid += self._unsaid(str(event.get("logger")).partition(".")[0], lines=LIBRARY_LINES)
        if unsaid:
            event["repeated"] = unsaid
        return event

    def _unsaid(self, what: str, *, lines: int) -> int:
        """How often this was left out before; it is said now."""
        now = self._now()
        said = self._said.get(what)
        unsaid = 0
        if said is None or now >= said.until:
            unsaid = said.unsaid if said is not None else 0
            said = self._said[what] = _Said(now + SILENT_SECONDS, lines)
            self._said.move_to_end(what)
            if len(self._said) > _REMEMBERED:
                self._said.popitem(last=False)
        if said.left == 0:
            said.unsaid += 1
            raise DropEvent
        said.left -= 1
        return unsaid
