"""An event loop whose time passes by itself: whoever sleeps is woken at once, in the right order, always the same."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_LONGEST = 24 * 3600.0
T = TypeVar("T")


class _Passing(selectors.SelectSelector):
    """Nothing comes from outside: where the loop would wait, its time moves on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("everyone waits for something that will never happen")
        self.now += max(0.0, timeout)
        if self.now > _LONGEST:
            raise AssertionError("a whole day went by, and it is not over")
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop that begins at 0 and never waits."""

    def __init__(self) -> None:
        self._passing = _Passing()
        super().__init__(self._passing)
        # A timer is due when it is this near: sums of seconds are not exact.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._passing.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end without waiting for anything."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
