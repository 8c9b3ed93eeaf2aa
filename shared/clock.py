"""Time as an argument: epoch milliseconds, from the system or from a test."""

import time
from collections.abc import Callable

#: Answers the present moment in Unix epoch milliseconds.
Clock = Callable[[], int]


def system_clock() -> int:
    """Unix epoch milliseconds by this machine's clock."""
    return time.time_ns() // 1_000_000
