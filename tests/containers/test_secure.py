"""The composed system over SASL_SSL and TLS: the same figures, the least rights, and a sentence for what is refused."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError, TopicAuthorizationFailedError

from ops.rights import OPERATOR, SCREENS
from shared.contracts.topics import SERVICES, TOPICS, Topic, is_reply_topic, reply_topic
from shared.kafka.connection import client_options
from shared.settings import KafkaSettings
from tests.support import foreign_gateways as foreign
from tests.support.eventually import eventually
from tests.support.figures import assert_exact
from tests.support.secured import Secured, reasons, secured
from tests.support.tls import certificate

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1200)]

GATEWAY = "web"
#: Every topic, and a gateway's own.
CARDS = (*TOPICS.values(), reply_topic(GATEWAY))
COMMANDS = "progress.commands"
KAFKA = "LESSON_PROGRESS_KAFKA__"
MONGO = "LESSON_PROGRESS_MONGO__URI=mongodb://progress:{password}@mongo:27017/lesson_progress?directConnection=true&tls=true"


@pytest.fixture(scope="module")
def secure(image: str) -> Iterator[Secured]:
    with secured() as running:
        yield running


def test_the_same_replay_ends_in_the_exact_figures(secure: Secured) -> None:
    replay = ("replay", "/examples/oulad", "--stack", "external", "--copies", "1", "--seed", "3")

    ended = secure.system.ops(*replay, "--report", "/dev/stdout", seconds=1000)

    assert ended.code == 0, ended.err[-3000:]
    assert_exact(json.loads(ended.out))


@pytest.fixture(scope="module")
def small_platform(secure: Secured) -> None:
    imported = secure.system.ops("import", "/examples/platform")
    assert imported.code == 0, imported.err


@pytest.mark.parametrize("language", foreign.LANGUAGES)
async def test_a_gateway_in_another_language_holds_its_conversation_as_its_own_principal(
    secure: Secured, small_platform: None, language: str
) -> None:
    about = foreign.ON_THE_EXAMPLE[language]
    token = secure.system.ops("token", about["USER_ID"])
    address = foreign.secured(secure.settings(GATEWAY), secure.settings(SCREENS))
    address |= {"GATEWAY": GATEWAY, "TOKEN": token.out.strip()}
    address["HTTP_URL"] = "http://" + secure.system.address("progress", 8081)

    with foreign.ready(language) as programs:
        said = await programs.run("Conversation", {**address, **about})

    assert (said.code, said.errors) == (0, ""), said.lines
    assert len(said.lines) == 12


def may_write(principal: str, topic: Topic) -> bool:
    """What the agreement says: services write what they produce and answer gateways, operators command and repair."""
    if principal == OPERATOR:
        return topic.commands or topic.name.endswith(".replays")
    if principal == GATEWAY:
        return topic.name == COMMANDS
    return principal in topic.producers or (principal in SERVICES and is_reply_topic(topic.name))


def may_read(principal: str, topic: Topic) -> bool:
    """What the agreement says: everybody reads what is meant for him, and the operator everything."""
    if principal == SCREENS:
        return "live screens" in topic.consumers
    if principal == GATEWAY:
        return topic == reply_topic(GATEWAY)
    return principal == OPERATOR or principal in topic.consumers


@asynccontextmanager
async def producing(settings: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    options = {"max_request_size": 8 << 20, "request_timeout_ms": 20_000, "retry_backoff_ms": 50}
    producer = AIOKafkaProducer(**client_options(settings), **options)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def writes(producer: AIOKafkaProducer, topic: Topic) -> bool:
    """Whether this principal may write the topic: rights come first, then its limit, so that nothing is written."""
    try:
        await producer.send_and_wait(topic.name, b"x" * (topic.max_bytes + 10_000), partition=0)
    except TopicAuthorizationFailedError:
        return False
    except MessageSizeTooLargeError:
        return True
    raise AssertionError(f"{topic.name} took more than its limit")


async def readable(settings: KafkaSettings) -> list[bool]:
    """Of each topic, whether this principal may read it."""
    consumer = AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False, fetch_max_wait_ms=10)
    await consumer.start()
    try:
        return [await reads(consumer, topic) for topic in CARDS]
    finally:
        await consumer.stop()


async def reads(consumer: AIOKafkaConsumer, topic: Topic) -> bool:
    """Whether a fetch is answered; a topic that this principal may not even see is refused before any fetch."""
    place = TopicPartition(topic.name, 0)

    async def answered() -> str:
        try:
            await consumer.getmany(place, timeout_ms=20)
        except TopicAuthorizationFailedError:
            return "refused"
        if topic.name in consumer._client.cluster.unauthorized_topics:
            return "refused"
        return "answered" if consumer.highwater(place) is not None else ""

    consumer.assign([place])
    return await eventually(answered, within=30) == "answered"


@pytest.mark.parametrize("principal", [*SERVICES, OPERATOR, SCREENS, GATEWAY])
async def test_every_principal_writes_and_reads_what_is_its_own_and_nothing_else(
    secure: Secured, principal: str
) -> None:
    settings = secure.settings(principal)
    async with producing(settings) as producer:
        written = await asyncio.gather(*(writes(producer, topic) for topic in CARDS))
    read = await readable(settings)

    found = {topic.name: rights for topic, *rights in zip(CARDS, written, read, strict=True)}
    assert found == {t.name: [may_write(principal, t), may_read(principal, t)] for t in CARDS}


def test_a_wrong_password_ends_the_service_with_a_sentence(secure: Secured) -> None:
    of_the_broker = secure.refusal("-e", f"{KAFKA}PASSWORD=wrong")
    of_the_database = secure.refusal("-e", MONGO.format(password="wrong") + "&tlsCAFile=/secure/ca.pem")

    assert "refuses the user 'progress'; check LESSON_PROGRESS_KAFKA__USERNAME" in of_the_broker
    assert "the database refuses this service's user (error 18)" in of_the_database


def test_an_unknown_authority_ends_the_service_with_a_sentence(secure: Secured, tmp_path: Path) -> None:
    stranger, _ = certificate(tmp_path)
    other = ("-v", f"{stranger}:/other.pem:ro")
    password = secure.passwords["MONGO_PROGRESS_PASSWORD"]

    of_the_broker = secure.refusal(*other, "-e", f"{KAFKA}CA_FILE=/other.pem")
    of_the_database = secure.refusal(*other, "-e", MONGO.format(password=password) + "&tlsCAFile=/other.pem")

    assert "the certificate of the broker at kafka:9092 is not trusted" in of_the_broker
    assert f"{KAFKA}CA_FILE" in of_the_broker
    assert "the certificate of the database is not trusted" in of_the_database


async def test_a_right_that_is_withdrawn_ends_the_service_and_given_back_it_goes_on(secure: Secured) -> None:
    right = ("--allow-principal", "User:progress", "--operation", "Read", "--topic", COMMANDS)

    def last_reason() -> str:
        return (reasons(secure.system.logs("progress")) or [""])[-1]

    secure.rights("--remove", "--force", *right)
    said = await eventually(last_reason, within=60)
    secure.rights("--add", *right)

    assert "TopicAuthorizationFailedError" in said
    await eventually(lambda: secure.health("progress") == "healthy", within=120)
