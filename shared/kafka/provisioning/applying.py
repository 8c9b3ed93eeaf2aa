"""From the cards to the broker: topics are created, grow, and get their configuration; nothing is ever taken away."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from shared.contracts.topics import TOPICS, Topic
from shared.errors import Permanent, Transient
from shared.kafka.provisioning.differences import (
    BY_THE_CARDS,
    EXISTS,
    PARTITIONS,
    Asked,
    Drift,
    Found,
    differences,
    min_in_sync,
    usual_replicas,
)
from shared.kafka.provisioning.reading import administration, brokers, found
from shared.settings import KafkaSettings

_SEEN_SECONDS = 60.0
_LOOK_SECONDS = 0.1


class CannotApply(Permanent):
    """A topic differs from its card in what cannot be changed; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done."""

    created: tuple[str, ...]
    changed: tuple[Drift, ...]


async def create_missing(
    settings: KafkaSettings, *, replicas: int | None = None, topics: Iterable[Topic] = tuple(TOPICS.values())
) -> list[str]:
    """Create the topics that are not there, with as many replicas as is usual there; answers their names.

    Raises:
        Transient: the broker is away, or cannot make them now.
        Fatal: the broker refuses us.
    """
    async with administration(settings, "created") as admin:
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in existing]
        if missing:
            ours = await found(admin, sorted(existing & TOPICS.keys()))
            await _create(admin, missing, replicas or usual_replicas(ours, await brokers(admin)))
        await _seen(lambda: _absent(admin, missing))
        return [topic.name for topic in missing]


async def apply(
    settings: KafkaSettings, *, topics: Sequence[Topic] = tuple(TOPICS.values()), asked: Asked = BY_THE_CARDS
) -> Applied:
    """Make the broker's topics as their cards say: create, add partitions, alter configurations.

    More partitions than a card says stay, unless fewer were asked for. What was set on a topic beside its card stays.

    Raises:
        CannotApply: a difference cannot be changed; nothing was.
        Transient: the broker is away, or cannot do it now; what was done stays, and the rest can be done later.
        Fatal: the broker refuses us.
    """
    async with administration(settings, "altered") as admin:
        there = await found(admin, [topic.name for topic in topics])
        count = await brokers(admin)
        drifts = [drift for drift in differences(topics, there, asked=asked, brokers=count) if not drift.kept]
        if impossible := [said for drift in drifts if (said := drift.irreparable)]:
            raise CannotApply("; ".join(impossible))
        missing = {drift.topic for drift in drifts if drift.setting == EXISTS}
        await _create(admin, [t for t in topics if t.name in missing], asked.replicas or usual_replicas(there, count))
        changed = [drift for drift in drifts if drift.topic not in missing]
        await _grow(admin, [drift for drift in changed if drift.setting == PARTITIONS])
        await _configure(admin, [drift for drift in changed if drift.setting != PARTITIONS], there)
        await _seen(lambda: _differing(admin, topics, asked))
        return Applied(tuple(topic.name for topic in topics if topic.name in missing), tuple(changed))


async def _seen(differing: Callable[[], Awaitable[Sequence[object]]]) -> None:
    """Wait until the broker shows what it was told: it hears of its own changes a moment later."""
    try:
        async with asyncio.timeout(_SEEN_SECONDS):
            while await differing():  # noqa: ASYNC110 - the broker tells nobody when it is done
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise Transient(
            f"the broker was told, and shows no change after {_SEEN_SECONDS:.0f} s; see `lesson-progress topics diff`"
        ) from None


async def _absent(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> list[str]:
    existing = set(await admin.list_topics()) if topics else set()
    return [topic.name for topic in topics if topic.name not in existing]


async def _differing(admin: AIOKafkaAdminClient, topics: Sequence[Topic], asked: Asked) -> Sequence[object]:
    try:
        there = await found(admin, [topic.name for topic in topics])
    except Transient as unread:  # this broker has not heard of them yet
        return [unread]
    return [drift for drift in differences(topics, there, asked=asked) if not drift.kept]


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic], replicas: int) -> None:
    if not topics:
        return
    in_sync = min_in_sync(replicas)
    response = await admin.create_topics(
        [
            NewTopic(t.name, t.partitions, replicas, topic_configs=t.configuration(min_insync_replicas=in_sync))
            for t in topics
        ]
    )
    for name, code, *_ in response.topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise Transient(f"topic {name} could not be created: {for_code(code).__name__}")


async def _grow(admin: AIOKafkaAdminClient, drifts: Sequence[Drift]) -> None:
    if drifts:
        await admin.create_partitions({drift.topic: NewPartitions(int(drift.expected)) for drift in drifts})


async def _configure(admin: AIOKafkaAdminClient, drifts: Sequence[Drift], there: Mapping[str, Found]) -> None:
    # The request replaces everything that is set on a topic: what is not the card's is said again, and so stays.
    wanted: dict[str, dict[str, str]] = {}
    for drift in drifts:
        wanted.setdefault(drift.topic, dict(there[drift.topic].own))[drift.setting] = drift.expected
    if not wanted:
        return
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, config) for name, config in wanted.items()]
    for response in await admin.alter_configs(resources):
        for code, _, _, name in response.resources:
            if code:
                raise Transient(f"topic {name} could not be altered: {for_code(code).__name__}")
