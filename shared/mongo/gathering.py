"""Questions that come while the database is busy with earlier ones, asked together when it is free."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from itertools import islice
from typing import Generic, TypeVar

from shared.errors import Fatal, Transient

K = TypeVar("K")
V = TypeVar("V")

#: Questions one read may take: bounds its work, and how long the ones behind it wait.
KEYS_PER_READ = 100


class Gathered(Generic[K, V]):
    """Answers one question at a time from a read that takes many.

    A read begins after each of its questions was asked, so an answer is never older than its question. A lone question
    is asked at once; a hundred at the same time cost the round trips of two.
    """

    def __init__(
        self, read: Callable[[Collection[K]], Awaitable[Mapping[K, V]]], *, keys_per_read: int = KEYS_PER_READ
    ) -> None:
        self._read = read
        self._keys_per_read = keys_per_read
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """The answer to one question; None when the read has none. Raises what the read raises.

        Raises:
            Transient: also when the reading was stopped before it came to an answer.
        """
        answer = self._waiting.get(key)
        if answer is None:
            answer = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._answer_all())
        return await asyncio.shield(answer)  # who goes away takes no answer from others

    async def _answer_all(self) -> None:
        while self._waiting:
            asked = {key: self._waiting.pop(key) for key in list(islice(self._waiting, self._keys_per_read))}
            try:
                await self._answer(asked)
            finally:
                _fail(asked, Transient("the reading was stopped"))

    async def _answer(self, asked: Mapping[K, asyncio.Future[V | None]]) -> None:
        try:
            found = await self._read(asked.keys())
        except (Transient, Fatal) as failure:
            _fail(asked, failure)
        except Exception as failure:  # noqa: BLE001 - it is the answer to the question that caused it
            if len(asked) == 1:
                _fail(asked, failure)
                return
            # One question's bad document must not be the others' failure: each is asked alone.
            await asyncio.gather(*(self._answer({key: answer}) for key, answer in asked.items()))
        else:
            for key, answer in asked.items():
                answer.set_result(found.get(key))


def _fail(asked: Mapping[K, asyncio.Future[V | None]], failure: Exception) -> None:
    """Answer the questions that have no answer with this failure."""
    for answer in asked.values():
        if not answer.done():
            answer.set_exception(failure)
            answer.exception()  # who asked may have gone away; nobody has to be told of it then
