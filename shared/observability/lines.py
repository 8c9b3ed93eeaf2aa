"""Where log lines are written: one by one, or those of one turn of the event loop together."""

import asyncio
from typing import BinaryIO


class Lines:
    """Whole lines for a file; while an event loop runs, they are flushed when its turn ends.

    A flush costs as much as making the line, and a batch makes a line for each of its records.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._flush_is_due = False

    def msg(self, line: bytes) -> None:
        """Write one line."""
        self._file.write(line + b"\n")
        if self._flush_is_due:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._file.flush()
        else:
            self._flush_is_due = True
            loop.call_soon(self._flush)

    debug = info = warning = error = critical = exception = msg

    def _flush(self) -> None:
        self._flush_is_due = False
        self._file.flush()
