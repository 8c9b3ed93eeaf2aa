"""Sending a replay's commands: as fast as the broker takes them, or at a steady rate."""

import asyncio
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ops.conversation import command_headers
from ops.replay.plan import PlannedCommand
from ops.replay.repeating import Patience
from ops.replay.watching import Watch
from shared.contracts.gateways import LessonComplete
from shared.contracts.topics import PROGRESS_COMMANDS, PROGRESS_REPLIES
from shared.kafka.refusals import refusal_for_good

_IN_FLIGHT = 2000
_BREATH_SECONDS = 0.2


async def send_all(
    commands: Sequence[PlannedCommand],
    *,
    producer: AIOKafkaProducer,
    watch: Watch,
    rate: float | None,
    tokens: Callable[[str], str],
) -> None:
    """Publish every command and wait for the broker's acknowledgements; `rate` is in commands a second.

    What is not acknowledged may be there or not: it is sent again, as a gateway does, while the broker is away.

    Raises:
        Fatal: the broker refuses us for good.
        KafkaError: it has been away for too long.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    sending = _Sending(producer, watch, tokens)
    for place, command in enumerate(commands):
        if rate is not None and (ahead := started + place / rate - loop.time()) > 0:
            await asyncio.sleep(ahead)
        await sending.send(command)
        if sending.in_flight >= _IN_FLIGHT:
            await sending.acknowledged()
    await sending.acknowledged()


class _Sending:
    """Commands on their way to the broker."""

    def __init__(self, producer: AIOKafkaProducer, watch: Watch, tokens: Callable[[str], str]) -> None:
        self._producer = producer
        self._watch = watch
        self._tokens = tokens
        self._patience = Patience()
        self._acknowledgements: list[tuple[PlannedCommand, asyncio.Future[object]]] = []
        self._refused: list[tuple[PlannedCommand, KafkaError]] = []

    @property
    def in_flight(self) -> int:
        """How many have no acknowledgement yet."""
        return len(self._acknowledgements) + len(self._refused)

    async def send(self, command: PlannedCommand) -> None:
        """Queue one command."""
        completion = command.completion
        headers = command_headers(
            LessonComplete,
            self._tokens(completion.user_id),
            command_id=f"{self._watch.run}:{command.index}",
            reply_to=PROGRESS_REPLIES,
        )
        value = LessonComplete(lesson_id=completion.lesson_id).to_json()
        self._watch.sending(command)
        try:
            future = await self._producer.send(PROGRESS_COMMANDS, value, completion.user_id.encode(), headers=headers)
        except KafkaError as failure:
            self._refused.append((command, failure))
        else:
            self._acknowledgements.append((command, future))

    async def acknowledged(self) -> None:
        """Wait until the broker has acknowledged everything.

        Raises:
            Fatal: the broker refuses us for good.
            KafkaError: it has been away for too long.
        """
        while failed := await self._failed():
            self._bear([failure for _, failure in failed])
            await asyncio.sleep(_BREATH_SECONDS)
            for command, _ in failed:
                await self.send(command)
        self._patience.answered()

    async def _failed(self) -> list[tuple[PlannedCommand, KafkaError]]:
        failed, self._refused = self._refused, []
        waiting, self._acknowledgements = self._acknowledgements, []
        ends = await asyncio.gather(*(future for _, future in waiting), return_exceptions=True)
        for (command, _), end in zip(waiting, ends, strict=True):
            if isinstance(end, KafkaError):
                failed.append((command, end))
            elif isinstance(end, BaseException):
                raise end
        return failed

    def _bear(self, failures: Sequence[KafkaError]) -> None:
        for failure in failures:
            if refusal := refusal_for_good(failure):
                raise refusal from failure
        self._patience.bear(failures[0])
