"""Topics as code on a real broker: created, grown, altered; nothing taken away, and what is not ours stays."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from ops.stacks import RunningStack, StackKind, start_stack
from shared.contracts.topics import TOPICS, Topic, reply_topic
from shared.kafka.provisioning import Asked, CannotApply, Drift, apply, drift
from shared.settings import KafkaSettings
from tests.support.eventually import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
CARD = TOPICS["progress.commands"]
KNOWN_SECONDS = 60


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[RunningStack]:
    async with start_stack(StackKind.KAFKA, services=(), provision=False) as running:
        yield running


@pytest.fixture
def settings(stack: RunningStack) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=stack.bootstrap_servers)


@pytest.fixture
async def admin(stack: RunningStack) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap_servers)
    await client.start()
    yield client
    await client.close()


async def known(settings: KafkaSettings, card: Topic) -> list[Drift]:
    """Wait until the broker knows a topic that was just made; answers how it differs."""

    async def there() -> list[Drift]:
        drifts = await drift(settings, topics=[card])
        return [] if "exists" in {d.setting for d in drifts} else drifts

    return await eventually(there, within=KNOWN_SECONDS)


async def own_configuration(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    [response] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    [(_, _, _, _, entries)] = response.resources
    return {entry[0]: entry[1] for entry in entries if entry[3] == 1}


async def test_an_empty_broker_gets_all_topics_and_then_nothing_is_left_to_do(settings: KafkaSettings) -> None:
    cards = [*TOPICS.values(), reply_topic("web")]

    first = await apply(settings, topics=cards)
    second = await apply(settings, topics=cards)

    assert set(first.created) == {*TOPICS, "progress.replies.web"}
    assert (second.created, second.changed) == ((), ())
    assert await drift(settings, topics=cards) == []


async def test_a_topic_that_differs_is_grown_and_altered_and_what_is_not_on_its_card_stays(
    settings: KafkaSettings, admin: AIOKafkaAdminClient
) -> None:
    card = replace(CARD, name="grown.commands")
    wrong = {"message.timestamp.type": "CreateTime", "retention.ms": "1000", "segment.bytes": "1048576"}
    await admin.create_topics([NewTopic(card.name, 2, 1, topic_configs=wrong)])

    before = await known(settings, card)
    done = await apply(settings, topics=[card])

    assert Drift(card.name, "partitions", "6", "2") in before
    assert Drift(card.name, "message.timestamp.type", "LogAppendTime", "CreateTime") in before
    assert set(done.changed) == set(before)
    assert await drift(settings, topics=[card]) == []
    assert (await own_configuration(admin, card.name))["segment.bytes"] == "1048576"


async def test_a_topic_is_never_shrunk_and_then_nothing_else_is_changed_either(
    settings: KafkaSettings, admin: AIOKafkaAdminClient
) -> None:
    large, missing = replace(CARD, name="large.commands"), replace(CARD, name="missing.commands")
    await admin.create_topics([NewTopic(large.name, 9, 1)])

    await known(settings, large)
    with pytest.raises(CannotApply, match=r"large\.commands has 9 partitions, and none can be taken away"):
        await apply(settings, topics=[large, missing], asked=Asked(partitions=frozenset({large.name})))

    assert missing.name not in await admin.list_topics()
    await apply(settings, topics=[large, missing])
    assert await drift(settings, topics=[large, missing]) == [Drift(large.name, "partitions", "6", "9", kept=True)]
