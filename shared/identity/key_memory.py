"""What is remembered of signing keys: every key seen in the set, and when each was first missed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.identity.jwks import SigningKey

#: How long a key that left is remembered, in milliseconds. Source: contracts, "Tokens".
REMEMBERED_MS = 7 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class RememberedKey:
    """A key that was seen in the set, and when it was first missed there: epoch ms, None while it is in the set."""

    key: SigningKey
    left_at: int | None = None

    def verifies(self, at_ms: int) -> bool:
        """Whether it may verify a record of this time (epoch ms): one older than the key's leaving."""
        return self.left_at is None or at_ms < self.left_at


class KeyMemory(Protocol):
    """The stored memory of keys, one for each service, shared by its replicas."""

    async def load(self) -> Collection[RememberedKey]:
        """Everything remembered.

        Raises:
            Transient: the store does not answer.
        """

    async def save(self, changed: Collection[RememberedKey], forgotten: Collection[SigningKey]) -> None:
        """Put in or replace what changed and take out what is forgotten; repeating it changes nothing.

        Raises:
            Transient: the store cannot say whether it did.
        """


class Recalled:
    """Another memory, only read: for who judges what a service did, and must leave no trace of it."""

    def __init__(self, memory: KeyMemory) -> None:
        self._memory = memory

    async def load(self) -> Collection[RememberedKey]:
        """Everything remembered.

        Raises:
            Transient: the store does not answer.
        """
        return await self._memory.load()

    async def save(self, changed: Collection[RememberedKey], forgotten: Collection[SigningKey]) -> None:
        """Keep nothing."""


def settle(
    published: Collection[SigningKey], *memories: Mapping[SigningKey, int | None], now_ms: int
) -> dict[SigningKey, int | None]:
    """When each key ever seen left the set: None if it is in it, now if it was not missed before.

    A key that came back has not left. Of several memories (this process's, the stored one) the earliest moment
    holds. A key that left `REMEMBERED_MS` ago is forgotten.
    """
    settled: dict[SigningKey, int | None] = dict.fromkeys(published)
    for key in {key for memory in memories for key in memory} - settled.keys():
        missed = [left_at for memory in memories if (left_at := memory.get(key)) is not None]
        left_at = min(missed, default=now_ms)
        if now_ms - left_at < REMEMBERED_MS:
            settled[key] = left_at
    return settled
