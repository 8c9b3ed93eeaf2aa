"""What a gateway does when something is away for a moment: it asks again. A repeated command changes nothing."""

from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import TypeVar

from ops.errors import OperatorError
from ops.replay.plan import PlannedCommand
from ops.replay.watching import Watch

T = TypeVar("T")

#: How often a command that nobody answers is sent again, at most.
ROUNDS = 5
#: How long a broker may be away before a replay gives up.
AWAY_SECONDS = 60.0


async def until_answered(
    commands: Sequence[PlannedCommand], watch: Watch, again: Callable[[Sequence[PlannedCommand]], Awaitable[None]]
) -> None:
    """Send what has no answer again, as long as that brings any; replies are best effort, so some may be lost."""
    for _ in range(ROUNDS):
        silent = [command for command in commands if not watch.has_answer(command)]
        if not silent:
            return
        before = watch.answered
        await again(silent)
        if watch.answered == before:
            return


class Patience:
    """Bears the failures of a broker that is away for a moment: no replay need end for one that comes back."""

    def __init__(self) -> None:
        self._away_since: float | None = None

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T | None:
        """The answer; None while the broker is away, for as long as that is borne.

        Raises:
            OperatorError: it has been away for longer.
        """
        try:
            answer = await question()
        except OperatorError as failure:
            self.bear(failure)
            return None
        self.answered()
        return answer

    def bear(self, failure: Exception) -> None:
        """Note one more failure in a row.

        Raises:
            Exception: this failure, once the broker has been away for too long.
        """
        now = perf_counter()
        self._away_since = self._away_since or now
        if now - self._away_since > AWAY_SECONDS:
            raise failure

    def answered(self) -> None:
        """Note that the broker is there."""
        self._away_since = None
