"""The broker of the secured system: every principal may do what the agreement says, and nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import GroupAuthorizationFailedError, MessageSizeTooLargeError, TopicAuthorizationFailedError

from ops.rights import OPERATOR, SCREENS
from shared.contracts.topics import PROGRESS_COMMANDS, SERVICES, TOPICS, Topic, is_reply_topic, reply_topic
from shared.kafka.connection import client_options
from shared.settings import KafkaSettings
from tests.support.eventually import eventually
from tests.support.secured import Secured

pytestmark = [pytest.mark.containers, pytest.mark.timeout(300, func_only=True)]

GATEWAY = "web"
REPLIES = reply_topic(GATEWAY).name
#: Every topic, and a gateway's own.
CARDS = (*TOPICS.values(), reply_topic(GATEWAY))
REFUSED = int(TopicAuthorizationFailedError.errno)


def may_write(principal: str, topic: Topic) -> bool:
    """What the agreement says: services write what they produce and answer gateways, operators command and repair."""
    if principal == OPERATOR:
        return topic.commands or topic.name.endswith((".replays", ".deadletters"))
    if principal == GATEWAY:
        return topic.name == PROGRESS_COMMANDS
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


#: Of each class of principals one, a topic that it may read, and a group that is another's.
STRANGERS = [
    ("progress", PROGRESS_COMMANDS, "recalculator"),
    (OPERATOR, PROGRESS_COMMANDS, f"{GATEWAY}-1"),  # those of the services are his to send back
    (SCREENS, "enrollment.progressed", GATEWAY),
    (GATEWAY, REPLIES, "progress"),
]


async def joins(settings: KafkaSettings, topic: str, group: str) -> bool:
    consumer = AIOKafkaConsumer(topic, **client_options(settings), group_id=group, enable_auto_commit=False)
    try:
        await asyncio.wait_for(consumer.start(), 60)
    except GroupAuthorizationFailedError:
        return False
    finally:
        await consumer.stop()
    return True


@pytest.mark.parametrize(("principal", "topic", "group"), STRANGERS)
async def test_nobody_joins_the_group_of_another(secure: Secured, principal: str, topic: str, group: str) -> None:
    assert not await joins(secure.settings(principal), topic, group)


@pytest.mark.parametrize(("principal", "topic"), [(SCREENS, "enrollment.progressed"), (GATEWAY, REPLIES)])
async def test_screens_and_gateways_have_groups_of_their_own(secure: Secured, principal: str, topic: str) -> None:
    assert await joins(secure.settings(principal), topic, f"{principal}-1")


@asynccontextmanager
async def administering(secure: Secured, principal: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options(secure.settings(principal)))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def created(admin: AIOKafkaAdminClient, name: str = "progress.replies.another") -> int:
    """The broker's answer to a topic that is new; it is not made."""
    [(_, code, _)] = (await admin.create_topics([NewTopic(name, 1, 1)], validate_only=True)).topic_errors
    return int(code)


async def grown(admin: AIOKafkaAdminClient) -> int:
    """The broker's answer to more partitions; they are not made."""
    try:
        await admin.create_partitions({REPLIES: NewPartitions(60)}, validate_only=True)
    except TopicAuthorizationFailedError:
        return REFUSED
    return 0


async def configured(admin: AIOKafkaAdminClient) -> int:
    """The broker's answer to another time of keeping."""
    configs = {"retention.ms": "3600000"}
    answers = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, REPLIES, configs=configs)])
    [(code, *_)] = answers[0].resources
    return int(code)


async def deleted(admin: AIOKafkaAdminClient) -> int:
    """The broker's answer to a deletion."""
    [(_, code)] = (await admin.delete_topics([REPLIES])).topic_error_codes
    return int(code)


@pytest.mark.parametrize("principal", ["progress", SCREENS, GATEWAY])
async def test_services_screens_and_gateways_make_change_and_delete_no_topic(secure: Secured, principal: str) -> None:
    async with administering(secure, principal) as admin:
        answers = [await asked(admin) for asked in (created, grown, configured, deleted)]

    assert answers == [REFUSED] * 4


async def test_the_operator_makes_the_products_topics_and_no_others_and_deletes_none(secure: Secured) -> None:
    async with administering(secure, OPERATOR) as admin:
        answers = [await asked(admin) for asked in (created, grown, deleted)]
        of_others = await created(admin, "another")

    assert (answers, of_others) == ([0, 0, REFUSED], REFUSED)


async def test_the_operator_finds_dead_letters_sends_them_again_and_puts_them_away(secure: Secured) -> None:
    async with producing(secure.settings(GATEWAY)) as producer:
        headers = [("ce_type", b"lesson.complete.v2")]
        await producer.send_and_wait(PROGRESS_COMMANDS, b"{}", key=b"rights", headers=headers)

    async def in_state(state: str) -> bool:
        ended = await asyncio.to_thread(secure.system.ops, "dead-letters", "list", "--key", "rights", "--all", "--json")
        assert ended.code == 0, ended.err
        return [row["state"] for row in json.loads(ended.out)] == [state]

    await eventually(lambda: in_state("open"), within=60)
    replayed = secure.system.ops("dead-letters", "replay", "--key", "rights", "--yes")
    assert replayed.code == 0, replayed.err
    await eventually(lambda: in_state("came back"), within=60)
    discarded = secure.system.ops("dead-letters", "discard", "--key", "rights", "--reason", "a test", "--yes")
    assert discarded.code == 0, discarded.err
    assert await in_state("discarded")
