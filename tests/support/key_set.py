"""A key set in motion for tests: where it is published, what is remembered of it, and the time that passes."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import orjson
import pytest

from shared.errors import Transient
from shared.identity import NotAuthenticated, Reason, TokenVerifier
from shared.identity.jwks import SigningKey
from shared.identity.key_memory import RememberedKey
from shared.identity.signing_keys import KeySet
from tests.support.issuer import AUDIENCE, ISSUER, NOW, Signer


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def move(self, milliseconds: int) -> None:
        self.now += milliseconds


class FakeSource:
    """The place where the issuer publishes, with the signers that stand there now."""

    def __init__(self, *signers: Signer, local: bool = False) -> None:
        self.local = local
        self.document = b""
        self.failing = False
        self.fetches = 0
        self._fetching = 0
        self.most_at_once = 0
        #: Cleared by a test, it holds answers back.
        self.answers = asyncio.Event()
        self.answers.set()
        self.publish(*signers)

    def __str__(self) -> str:
        return "The issuer"

    def publish(self, *signers: Signer) -> None:
        self.document = orjson.dumps({"keys": [signer.jwk for signer in signers]})

    async def fetch(self) -> bytes:
        self.fetches += 1
        self._fetching += 1
        self.most_at_once = max(self.most_at_once, self._fetching)
        await asyncio.sleep(0)
        await self.answers.wait()
        self._fetching -= 1
        if self.failing:
            raise Transient("it does not answer")
        return self.document


class FakeMemory:
    """A `KeyMemory` that outlives the services that use it."""

    def __init__(self) -> None:
        self.left_at: dict[SigningKey, int | None] = {}
        self.failing = False
        self.saves = 0

    async def load(self) -> list[RememberedKey]:
        self._answer()
        return [RememberedKey(key, left_at) for key, left_at in self.left_at.items()]

    async def save(self, changed: Collection[RememberedKey], forgotten: Collection[SigningKey]) -> None:
        self._answer()
        self.saves += 1
        self.left_at.update({remembered.key: remembered.left_at for remembered in changed})
        for key in forgotten:
            self.left_at.pop(key, None)

    def _answer(self) -> None:
        if self.failing:
            raise Transient("the database is away")


class FakeSleep:
    """Sleeps until woken, and notes for how many seconds it was asked to."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._asleep, self._woken = asyncio.Event(), asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        self._asleep.set()
        await self._woken.wait()
        self._woken.clear()

    async def pass_by(self) -> None:
        """Let the sleeper do one round and fall asleep again."""
        await self._asleep.wait()
        self._asleep.clear()
        self._woken.set()
        await self._asleep.wait()


@asynccontextmanager
async def running(
    source: FakeSource,
    memory: FakeMemory | None = None,
    *,
    clock: FakeClock | None = None,
    sleep: FakeSleep | None = None,
) -> AsyncIterator[KeySet]:
    """A started key set, stopped at the end."""
    keys = KeySet(source, memory or FakeMemory(), clock=clock or FakeClock(), sleep=sleep or FakeSleep())
    await keys.start()
    try:
        yield keys
    finally:
        await keys.stop()


def verifier_of(keys: KeySet, **changed: object) -> TokenVerifier:
    """A verifier of the test issuer's tokens."""
    return TokenVerifier(keys, **{"issuer": ISSUER, "audience": AUDIENCE, **changed})  # type: ignore[arg-type]


def refusal(verifier: TokenVerifier, authorization: str | bytes, at_ms: int = NOW) -> Reason:
    """Why this header value proves nobody at this moment."""
    with pytest.raises(NotAuthenticated) as refused:
        verifier.verify(authorization, at_ms=at_ms)
    assert str(refused.value) == refused.value.reason
    return refused.value.reason
