"""What the broker's topics are like now."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError, for_code

from shared.contracts.topics import TOPICS, Topic
from shared.errors import Fatal, Transient
from shared.kafka.connection import client_options, connected
from shared.kafka.provisioning.differences import BY_THE_CARDS, Asked, Drift, Found, differences
from shared.kafka.refusals import refusal_for_good
from shared.settings import KafkaSettings

#: A configuration that was set on the topic itself (Kafka protocol).
_OWN = 1


async def drift(
    settings: KafkaSettings, *, topics: Sequence[Topic] = tuple(TOPICS.values()), asked: Asked = BY_THE_CARDS
) -> list[Drift]:
    """How the broker's topics differ from their cards; empty when they do not.

    Raises:
        Transient: the broker is away.
        Fatal: the broker refuses us.
    """
    async with administration(settings, "read") as admin:
        there = await found(admin, [topic.name for topic in topics])
        return list(differences(topics, there, asked=asked, brokers=await brokers(admin)))


@asynccontextmanager
async def administration(settings: KafkaSettings, purpose: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """An administration client, and its failures by name; `purpose` is what becomes of topics: read, created, altered.

    Raises:
        Transient: the broker is away, or cannot do it now.
        Fatal: the broker refuses us.
    """
    admin = AIOKafkaAdminClient(request_timeout_ms=10_000, **client_options(settings))
    try:
        await connected(admin, settings)
        yield admin
    except KafkaError as failure:
        named = f"topics could not be {purpose}: {type(failure).__name__}"
        raise refusal_for_good(failure) or Transient(named) from failure
    finally:
        await admin.close()


async def brokers(admin: AIOKafkaAdminClient) -> int:
    """How many brokers there are now."""
    return len((await admin.describe_cluster())["brokers"])


async def found(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, Found]:
    """These topics as the broker has them, without those that it has not.

    Raises:
        KafkaError, Transient: it does not tell.
        Fatal: we have no right to know.
    """
    described = [topic for topic in await admin.describe_topics(list(names)) if _is_there(topic)]
    configs = await _configurations(admin, [topic["topic"] for topic in described])
    return {
        topic["topic"]: Found(
            partitions=len(topic["partitions"]),
            replicas=min((len(partition["replicas"]) for partition in topic["partitions"]), default=0),
            config={name: value for name, (value, _) in configs.get(topic["topic"], {}).items()},
            own={name: value for name, (value, own) in configs.get(topic["topic"], {}).items() if own},
        )
        for topic in described
    }


def _is_there(topic: dict[str, Any]) -> bool:
    if for_code(topic["error_code"]) is UnknownTopicOrPartitionError:
        return False
    _check(topic["topic"], topic["error_code"])
    return True


def _check(topic: str, code: int) -> None:
    """Take no answer for no difference: a broker that has not heard of a new topic yet tells nothing of it."""
    if for_code(code) is TopicAuthorizationFailedError:
        raise _no_right(topic)
    if code:
        raise Transient(f"topic {topic} could not be read: {for_code(code).__name__}")


async def _configurations(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, tuple[str, bool]]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    configurations: dict[str, dict[str, tuple[str, bool]]] = {}
    for response in await admin.describe_configs(resources) if resources else []:
        for code, _, _, name, entries in response.resources:
            _check(name, code)
            configurations[name] = {entry[0]: (entry[1], entry[3] == _OWN) for entry in entries}
    return configurations


def _no_right(topic: str) -> Fatal:
    return Fatal(
        f"the broker refuses to describe the topic {topic} to us (TopicAuthorizationFailedError); give this user its "
        "rights: `lesson-progress topics rights` lists them"
    )
