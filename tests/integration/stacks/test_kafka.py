"""The kafka stack: Apache Kafka and the Rust server, with what the product relies on."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import MessageSizeTooLargeError, UnknownTopicOrPartitionError
from aiokafka.structs import ConsumerRecord

from ops.stacks import RunningStack, StackKind, start_stack
from shared.contracts.topics import TOPICS
from shared.kafka.records import LOG_APPEND_TIME

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
COMMANDS = "progress.commands"
PARTITION = TopicPartition(COMMANDS, 0)


@pytest.fixture(autouse=True)
def served_by(record_property: Callable[[str, object], None]) -> None:
    record_property("stack", "Apache Kafka and SecantusDB (Rust)")


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[RunningStack]:
    async with start_stack(StackKind.KAFKA, services=()) as running:
        yield running


@asynccontextmanager
async def producer_of(stack: RunningStack) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=stack.bootstrap_servers, acks="all", max_request_size=8 << 20)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send(stack: RunningStack, value: bytes, *, timestamp_ms: int | None = None) -> int:
    """Send to the partition; answers the offset."""
    async with producer_of(stack) as producer:
        sent = await producer.send_and_wait(COMMANDS, value, partition=0, timestamp_ms=timestamp_ms)
        return int(sent.offset)


async def read(stack: RunningStack, offset: int) -> ConsumerRecord[bytes, bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap_servers, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([PARTITION])
        consumer.seek(PARTITION, offset)
        return await consumer.getone()
    finally:
        await consumer.stop()


def test_the_parts_have_names_and_versions(stack: RunningStack) -> None:
    assert stack.parts.broker == "Apache Kafka 4.1.1"
    assert stack.parts.database.startswith("SecantusDB ")
    assert stack.environment["LESSON_PROGRESS_KAFKA__REQUIRE_LOG_APPEND_TIME"] == "true"


async def test_a_record_has_the_brokers_time(stack: RunningStack) -> None:
    record = await read(stack, await send(stack, b"now", timestamp_ms=1_000))

    assert record.timestamp_type == LOG_APPEND_TIME
    assert record.timestamp > 1_000


async def test_a_record_that_is_too_large_is_refused(stack: RunningStack) -> None:
    with pytest.raises(MessageSizeTooLargeError):
        await send(stack, b"x" * (TOPICS[COMMANDS].max_bytes + 1_024))


async def test_asking_for_a_topic_does_not_make_it(stack: RunningStack) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap_servers)
    await admin.start()
    try:
        (described,) = await admin.describe_topics(["absent"])
        assert described["error_code"] == UnknownTopicOrPartitionError.errno
        assert "absent" not in await admin.list_topics()
    finally:
        await admin.close()


async def test_a_broker_that_was_killed_comes_back_with_its_records(stack: RunningStack) -> None:
    offset = await send(stack, b"before")

    stack.kill_part("broker")
    await stack.start_part("broker")

    assert (await read(stack, offset)).value == b"before"


async def test_a_given_directory_keeps_the_records_on_other_ports(tmp_path: Path) -> None:
    async with start_stack(StackKind.KAFKA, directory=tmp_path, services=()) as first:
        offset = await send(first, b"kept")

    async with start_stack(StackKind.KAFKA, directory=tmp_path, services=()) as second:
        assert second.bootstrap_servers != first.bootstrap_servers
        assert (await read(second, offset)).value == b"kept"
