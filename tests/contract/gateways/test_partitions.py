"""A key has one partition, whichever client sends it: a learner's commands stay in order across gateways.

Where a client puts it elsewhere, the order of a learner's commands holds within each gateway alone; nothing is lost.
"""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.contracts.topics import PROGRESS_COMMANDS, TOPICS
from tests.support.foreign_gateways import Programs
from tests.support.gateway import Seen
from tests.support.system import System

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

PARTITIONS = TOPICS[PROGRESS_COMMANDS].partitions


def keys() -> list[bytes]:
    """Keys of every length and alphabet, always the same: the empty one, and bytes that are no text."""
    texts = ["learner-maya", "Zoë", "学习者-7", "\U0001f393", "é", "e\u0301", "a" * 255, "0", " "]
    numbered = [f"user-{n}" for n in range(300)]
    foreign = [f"öğrenci-{n}-учащийся" for n in range(300)]
    anything = [hashlib.shake_256(bytes(length)).digest(length) for length in range(1, 400)]
    return [b"", *(text.encode() for text in [*texts, *numbered, *foreign]), *anything]


@pytest.fixture
async def topic(system: System) -> AsyncIterator[str]:
    """A topic with as many partitions as that of the commands."""
    name = f"partitions-{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=system.stack.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(name, PARTITIONS, 1)])
    yield name
    await admin.delete_topics([name])
    await admin.close()


async def sent_by_us(system: System, topic: str, wanted: Sequence[bytes]) -> dict[bytes, int]:
    """Where the client of the services puts these keys."""
    async with AIOKafkaProducer(bootstrap_servers=system.stack.bootstrap_servers) as producer:
        sent = await asyncio.gather(*[await producer.send(topic, b"", key) for key in wanted])
    return dict(zip(wanted, (metadata.partition for metadata in sent), strict=True))


async def found(system: System, topic: str, count: int) -> dict[bytes, int]:
    """Where the keys of a topic are, once there are so many."""
    places: dict[bytes, int] = {}
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=system.stack.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    async with consumer, asyncio.timeout(30):
        while len(places) < count:
            places |= {
                record.key: record.partition
                for records in (await consumer.getmany(timeout_ms=500)).values()
                for record in records
            }
    return places


async def sent_by(
    programs: Programs, system: System, topic: str, wanted: Sequence[bytes], *, partitioner: str = "DefaultPartitioner"
) -> dict[bytes, int]:
    """Where a foreign client puts these keys."""
    environment = {"BROKER": system.stack.bootstrap_servers, "TOPIC": topic, "PARTITIONER": partitioner}
    lines = "".join(f"{base64.b64encode(key).decode()}\n" for key in wanted)
    said = await programs.run("Partitions", environment, given=lines)
    assert (said.code, said.errors) == (0, "")
    return await found(system, topic, len(wanted))


async def test_a_foreign_client_puts_every_key_where_ours_puts_it(
    system: System, programs: Programs, topic: str
) -> None:
    wanted = keys()

    theirs = await sent_by(programs, system, topic, wanted)

    assert theirs == await sent_by_us(system, topic, wanted)
    assert set(theirs.values()) == set(range(PARTITIONS))


@pytest.mark.parametrize("language", ["node"], indirect=True)
async def test_kafkajs_older_partitioner_puts_most_keys_elsewhere(
    system: System, programs: Programs, topic: str
) -> None:
    wanted = keys()

    theirs = await sent_by(programs, system, topic, wanted, partitioner="LegacyPartitioner")

    ours = await sent_by_us(system, topic, wanted)
    assert sum(theirs[key] != ours[key] for key in wanted) > len(wanted) / 2


async def test_a_learner_s_commands_on_every_partition_are_answered_alike_and_all_counted(system: System) -> None:
    course = await system.campus.course(PARTITIONS)
    learner = await system.campus.learner(course)
    token = system.gateway.token(learner.user_id)

    async def complete(lesson: str, partition: int) -> Seen:
        return await system.gateway.complete(learner.user_id, lesson, token=token, partition=partition)

    everywhere = range(PARTITIONS)
    once = await asyncio.gather(*(complete(course.lessons[0], partition) for partition in everywhere))
    await asyncio.gather(*(complete(course.lessons[n], n) for n in everywhere))

    assert len({(reply.type, reply.data["progressId"], reply.data["completedAt"]) for reply in once}) == 1
    assert len(await system.campus.records(learner)) == PARTITIONS
    state = await system.gateway.progressed(learner.enrollment_id, completed=PARTITIONS)
    assert state["progressPercent"] == 100
    assert await system.gateway.certificate(learner.enrollment_id)
    assert len(await system.campus.certificates(learner)) == 1
