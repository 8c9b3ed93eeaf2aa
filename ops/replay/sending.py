"""Sending a replay's commands: as fast as the broker takes them, or at a steady rate."""

import asyncio
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaProducer

from ops.conversation import command_headers
from ops.replay.plan import PlannedCommand
from ops.replay.watching import Watch
from shared.contracts.gateways import LessonComplete
from shared.contracts.topics import PROGRESS_COMMANDS, PROGRESS_REPLIES

_IN_FLIGHT = 2000


async def send_all(
    commands: Sequence[PlannedCommand],
    *,
    producer: AIOKafkaProducer,
    watch: Watch,
    rate: float | None,
    tokens: Callable[[str], str],
) -> None:
    """Publish every command and wait for the broker's acknowledgements; `rate` is in commands a second."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    unacknowledged: list[asyncio.Future[object]] = []
    for place, command in enumerate(commands):
        if rate is not None and (ahead := started + place / rate - loop.time()) > 0:
            await asyncio.sleep(ahead)
        unacknowledged.append(await _send(command, producer, watch, tokens))
        if len(unacknowledged) >= _IN_FLIGHT:
            await asyncio.gather(*unacknowledged)
            unacknowledged.clear()
    await asyncio.gather(*unacknowledged)


async def _send(
    command: PlannedCommand, producer: AIOKafkaProducer, watch: Watch, tokens: Callable[[str], str]
) -> asyncio.Future[object]:
    completion = command.completion
    command_id = f"{watch.run}:{command.index}"
    headers = command_headers(
        LessonComplete, tokens(completion.user_id), command_id=command_id, reply_to=PROGRESS_REPLIES
    )
    value = LessonComplete(lesson_id=completion.lesson_id).to_json()
    watch.sending(command)
    future: asyncio.Future[object] = await producer.send(
        PROGRESS_COMMANDS, value, completion.user_id.encode(), headers=headers
    )
    return future
