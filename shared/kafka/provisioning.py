"""Topics from their cards: create what is missing, say what differs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.contracts.topics import TOPICS, Topic
from shared.errors import Fatal, Transient
from shared.kafka.refusals import refusal_for_good

_TIMESTAMPS = "message.timestamp.type"


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference between a topic and its card."""

    topic: str
    setting: str
    expected: str
    found: str


async def create_missing(
    bootstrap_servers: str, *, replication_factor: int = 1, topics: Iterable[Topic] = tuple(TOPICS.values())
) -> list[str]:
    """Create the topics that are not there; answers their names.

    Raises:
        Transient: the broker is away, or cannot make them now.
        Fatal: the broker refuses us.
    """
    admin = await _admin(bootstrap_servers)
    try:
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in existing]
        if missing:
            in_sync = max(1, replication_factor - 1)
            response = await admin.create_topics(
                [
                    NewTopic(
                        t.name,
                        t.partitions,
                        replication_factor,
                        topic_configs=t.configuration(min_insync_replicas=in_sync),
                    )
                    for t in missing
                ]
            )
            _check(response.topic_errors)
        return [topic.name for topic in missing]
    except KafkaError as failure:
        raise refusal_for_good(failure) or Transient(
            f"topics could not be created: {type(failure).__name__}"
        ) from failure
    finally:
        await admin.close()


def _check(topic_errors: Sequence[tuple[object, ...]]) -> None:
    for name, code, *_ in topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise Transient(f"topic {name} could not be created: {for_code(code).__name__}")


async def drift(bootstrap_servers: str, *, topics: Sequence[Topic] = tuple(TOPICS.values())) -> list[Drift]:
    """How the broker's topics differ from their cards; empty when they do not.

    Raises:
        Transient: the broker is away.
        Fatal: the broker refuses us.
    """
    admin = await _admin(bootstrap_servers)
    try:
        found = {t["topic"]: t for t in await admin.describe_topics([t.name for t in topics]) if not t["error_code"]}
        configs = await _configurations(admin, [t.name for t in topics if t.name in found])
    except KafkaError as failure:
        raise refusal_for_good(failure) or Transient(f"topics could not be read: {type(failure).__name__}") from failure
    finally:
        await admin.close()
    differences: list[Drift] = []
    for topic in topics:
        if topic.name not in found:
            differences.append(Drift(topic.name, "exists", "yes", "no"))
            continue
        partitions = len(found[topic.name]["partitions"])
        if partitions < topic.partitions:
            differences.append(Drift(topic.name, "partitions", str(topic.partitions), str(partitions)))
        differences += _config_drift(topic, configs.get(topic.name, {}))
    return differences


def _config_drift(topic: Topic, found: dict[str, str]) -> list[Drift]:
    expected = topic.configuration(min_insync_replicas=1)
    del expected["min.insync.replicas"]  # follows from the cluster's size, not from the card
    return [Drift(topic.name, k, v, found.get(k, "unknown")) for k, v in expected.items() if found.get(k) != v]


async def _configurations(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    configurations: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources) if resources else []:
        for _, _, _, name, entries in response.resources:
            configurations[name] = {entry[0]: entry[1] for entry in entries}
    return configurations


async def check_consumed(bootstrap_servers: str, names: Sequence[str], *, require_log_append_time: bool) -> None:
    """Refuse to start half: the topics a service reads must be there, and its commands must carry the broker's time.

    Raises:
        Fatal: a topic is missing, a command topic has no LogAppendTime, or the broker refuses us.
        Transient: the broker is away.
    """
    for difference in await drift(bootstrap_servers, topics=[TOPICS[name] for name in names]):
        if difference.setting == "exists":
            raise Fatal(f"topic {difference.topic} is missing; run `lesson-progress topics create`")
        commands = TOPICS[difference.topic].commands
        if difference.setting == _TIMESTAMPS and commands and require_log_append_time:
            raise Fatal(
                f"topic {difference.topic} has {_TIMESTAMPS}={difference.found}; commands need LogAppendTime: "
                "alter the topic, or set LESSON_PROGRESS_KAFKA__REQUIRE_LOG_APPEND_TIME=false for a development broker"
            )


async def _admin(bootstrap_servers: str) -> AIOKafkaAdminClient:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers.split(","), request_timeout_ms=10_000)
    try:
        await admin.start()
    except BaseException as failure:
        await admin.close()
        if isinstance(failure, KafkaError):
            raise refusal_for_good(failure) or Transient(f"no broker answers at {bootstrap_servers}") from failure
        raise
    return admin
