"""A verifier of tokens without keys: who a token is of stands in it."""

import asyncio
from collections.abc import Sequence

from shared.errors import Transient
from shared.identity import Identity, NotAuthenticated, Reason, TokenVerifier


class FakeVerifier(TokenVerifier):
    """Believes `Bearer learner:<id>` and `Bearer operator:<id>`, and nothing else."""

    def __init__(self) -> None:
        self.away = False
        #: The moments at which it was asked, epoch ms.
        self.asked: list[int] = []

    async def authenticate_batch(self, batch: Sequence[tuple[str | bytes, int]]) -> list[Identity | NotAuthenticated]:
        if self.away:
            raise Transient("there is no key set yet")
        await asyncio.sleep(0)
        self.asked += [at for _, at in batch]
        return [self._judge(str(token)) for token, _ in batch]

    @staticmethod
    def _judge(token: str) -> Identity | NotAuthenticated:
        role, _, user_id = token.removeprefix("Bearer ").partition(":")
        if not token.startswith("Bearer ") or role not in {"learner", "operator"}:
            return NotAuthenticated(Reason.SIGNATURE)
        return Identity(user_id, operator=role == "operator")
