"""Learners who have nothing to do with a backlog: a command a second in a partition of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from ops.target import Target
from shared.contracts.topics import reply_topic
from tests.bench.sending import Gateway
from tests.faults.endurance.commands import Command, Pupils, outgoing, send

#: Where they hear the answers.
REPLIES = reply_topic("endurance")
_BREAK_SECONDS = 1.0


@dataclass(slots=True)
class Others:
    """What they sent, and how long each answer took (s)."""

    sent: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """How many of them were answered."""
        return len(self.seconds) / len(self.sent) if self.sent else 0.0


@asynccontextmanager
async def completing(target: Target, gateway: Gateway, pupils: Pupils, others: Others) -> AsyncIterator[None]:
    """Learners of the quiet partition complete a lesson a second while the block runs."""
    async with target.reader(REPLIES.name) as reader, target.producer() as producer:
        tasks = [
            asyncio.create_task(_complete(producer, gateway, pupils, others)),
            asyncio.create_task(_hear(reader, others)),
        ]
        try:
            yield
            for task in tasks:
                if task.done():  # neither ends by itself
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _complete(producer: AIOKafkaProducer, gateway: Gateway, pupils: Pupils, others: Others) -> None:
    for number, (lesson, user) in enumerate((lesson, user) for lesson in pupils.lessons for user in pupils.others):
        name = f"live:{number}"
        others.sent[name] = perf_counter()
        await send(producer, [outgoing(gateway, Command(user, lesson), name, reply_to=REPLIES.name)])
        await asyncio.sleep(_BREAK_SECONDS)


async def _hear(reader: AIOKafkaConsumer, others: Others) -> None:
    async for record in reader:
        name = (dict(record.headers).get("correlation-id") or b"").decode()
        if name in others.sent:
            others.seconds.append(perf_counter() - others.sent[name])
