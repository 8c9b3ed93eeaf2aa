"""Traps on a link: which messages are caught, and what becomes of them."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from tests.faults.proxy.wire import Edit, Request

#: Which half of an exchange is caught.
REQUEST, ANSWER = "request", "answer"


class Fate(Enum):
    """What becomes of a message."""

    #: It arrives.
    PASSED = "passed"
    #: It never arrives, and its connection ends.
    LOST = "lost"
    #: Half of an answer arrives, and its connection ends.
    HALVED = "halved"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Caught:
    """One message that was caught."""

    request: Request
    #: As the other side gave it; empty where the request was caught.
    answer: bytes
    #: When (monotonic, s).
    at: float


class Trap:
    """Catches `times` messages (all when None) of a kind, after the first `after` of them have passed.

    Without a fate (`then`) a caught message waits until `let_pass` or `lose` is called; a fate that is given meets each
    at once. `containing` asks for these bytes in the request.
    """

    def __init__(
        self,
        side: str,
        kind: str,
        about: str | None = None,
        *,
        then: Fate | Edit | None = None,
        times: int | None = 1,
        after: int = 0,
        containing: bytes = b"",
    ) -> None:
        self._side = side
        self._kind = kind
        self._about = about
        self._times = times
        self._after = after
        self._containing = containing
        self._fate: Fate | Edit | None = then
        self._decided = asyncio.Event()
        self._news = asyncio.Condition()
        if then is not None:
            self._decided.set()
        #: What was caught so far, in order.
        self.caught: list[Caught] = []

    def catches(self, side: str, request: Request, answer: bytes) -> bool:
        """Whether this message is caught; counts it."""
        if side != self._side or self._kind not in request.kinds:
            return False
        if (self._about is not None and self._about not in request.about) or self._containing not in request.raw:
            return False
        if self._times is not None and len(self.caught) >= self._times:
            return False
        if self._after > 0:
            self._after -= 1
            return False
        self.caught.append(Caught(request, answer, time.monotonic()))
        return True

    async def decided(self, request: Request, answer: bytes) -> Fate | bytes:
        """What becomes of a caught message, once that is known."""
        async with self._news:
            self._news.notify_all()
        await self._decided.wait()
        fate = self._fate
        if isinstance(fate, Fate):
            return fate
        return Fate.PASSED if fate is None else fate(request, answer)

    async def until_caught(self, count: int = 1, *, within: float = 30.0) -> None:
        """Wait until so many messages were caught.

        Raises:
            AssertionError: they were not, within this time (s).
        """
        try:
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(lambda: len(self.caught) >= count)
        except TimeoutError:
            what = f"{self._side} {self._kind} {self._about or ''}".rstrip()
            raise AssertionError(f"{len(self.caught)} of {count} caught within {within:.0f} s: {what}") from None

    def let_pass(self) -> None:
        """Let what was caught arrive, unless its fate is known; what comes from now on is not caught."""
        self._decide(Fate.PASSED)

    def lose(self) -> None:
        """Lose what was caught and end its connection."""
        self._decide(Fate.LOST)

    def _decide(self, fate: Fate) -> None:
        self._times = len(self.caught)
        if not self._decided.is_set():
            self._fate = fate
            self._decided.set()


async def first_caught(traps: Mapping[str, Trap], *, within: float = 30.0) -> str:
    """The name of the trap that is the first to catch something.

    Raises:
        AssertionError: none did, within this time (s).
    """
    waiting = {asyncio.create_task(trap.until_caught(within=within)): name for name, trap in traps.items()}
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    first = next(iter(done))
    first.result()
    return waiting[first]
