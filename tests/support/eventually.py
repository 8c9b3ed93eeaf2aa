"""Waiting for a condition, in tests: bounded, and never longer than it takes."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

_LONGEST_PAUSE = 0.05


@overload
async def eventually(condition: Callable[[], Awaitable[T]], *, within: float = 5.0) -> T: ...
@overload
async def eventually(condition: Callable[[], T], *, within: float = 5.0) -> T: ...
async def eventually(condition: Callable[[], Any], *, within: float = 5.0) -> Any:
    """The first true answer of `condition`, asked again and again for at most `within` seconds.

    Raises:
        AssertionError: none came in time; the last answer is in its text.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    pause = 0.0
    while True:
        answer = condition()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if loop.time() >= deadline:
            raise AssertionError(f"not within {within} s: {inspect.getsource(condition).strip()} gave {value!r}")
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 2 or 0.001)
