"""Commands as a gateway sends them, with tokens that are signed once for all runs."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from aiokafka import AIOKafkaProducer

from ops.conversation import command_headers
from ops.development import DevelopmentIdentity
from ops.platform.datasets import PlannedCompletion
from shared.contracts.gateways import LessonComplete
from shared.contracts.topics import PROGRESS_COMMANDS, PROGRESS_REPLIES
from shared.settings import PREFIX

_IN_FLIGHT = 5000
_TOKEN_SECONDS = 12 * 3600

Headers = list[tuple[str, bytes]]


class Gateway:
    """Signs one token a learner, and sends commands."""

    def __init__(self, directory: Path) -> None:
        self._identity = DevelopmentIdentity.create(directory)
        self._tokens: dict[str, str] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What makes services believe these tokens."""
        return {f"{PREFIX}AUTH__JWKS": str(self._identity.key_set)}

    def token(self, user_id: str) -> str:
        """The learner's token (RS256)."""
        if user_id not in self._tokens:
            self._tokens[user_id] = self._identity.mint(user_id, lifetime_seconds=_TOKEN_SECONDS)
        return self._tokens[user_id]

    async def send(
        self, producer: AIOKafkaProducer, completion: PlannedCompletion, command_id: str
    ) -> asyncio.Future[object]:
        """Queue one command; the answered future ends with the broker's acknowledgement."""
        headers = command_headers(
            LessonComplete, self.token(completion.user_id), command_id=command_id, reply_to=PROGRESS_REPLIES
        )
        value = LessonComplete(lesson_id=completion.lesson_id).to_json()
        future: asyncio.Future[object] = await producer.send(
            PROGRESS_COMMANDS, value, completion.user_id.encode(), headers=headers
        )
        return future

    async def send_all(self, producer: AIOKafkaProducer, completions: Sequence[PlannedCompletion], run: str) -> None:
        """Send these as fast as the broker takes them, and wait for every acknowledgement."""
        for start in range(0, len(completions), _IN_FLIGHT):
            some = completions[start : start + _IN_FLIGHT]
            futures = [await self.send(producer, c, f"{run}:{start + i}") for i, c in enumerate(some)]
            await asyncio.gather(*futures)
