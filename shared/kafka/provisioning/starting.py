"""What a service asks of its topics before it begins: it does not start half."""

import asyncio

import structlog

from shared.contracts.topics import TOPICS, consumed_by, published_by
from shared.errors import Fatal
from shared.kafka.provisioning.differences import EXISTS, PARTITIONS, UNKNOWN, Drift
from shared.kafka.provisioning.reading import drift
from shared.settings import KafkaSettings

_log = structlog.get_logger()

_TIMESTAMPS = "message.timestamp.type"
_SIZE = "max.message.bytes"
#: Kept for other reasons than the card's, these would lose records: compacted away, or forgotten by an old replica.
_VITAL = frozenset({"cleanup.policy", "unclean.leader.election.enable"})
_HEARSAY_SECONDS = 2.0
_APPLY = "run `lesson-progress topics apply`"


async def check_topics(settings: KafkaSettings, service: str) -> None:
    """Refuse to start half: what a service reads and publishes must be there, and must keep what is promised.

    Commands must carry the broker's time. Other differences are logged: a service can work with them.

    Raises:
        Fatal: a topic is missing or wrong, or the broker refuses us.
        Transient: the broker is away.
    """
    topics = [TOPICS[name] for name in (*consumed_by(service), *published_by(service))]
    found = await drift(settings, topics=topics)
    if any(difference.setting == EXISTS for difference in found):
        # A broker hears a moment late of a topic that another has just made.
        await asyncio.sleep(_HEARSAY_SECONDS)
        found = await drift(settings, topics=topics)
    for difference in found:
        if wrong := _wrong(difference, service, settings):
            raise Fatal(wrong)
        if difference.found != UNKNOWN:
            _log.warning(
                "topic.differs",
                topic=difference.topic,
                setting=difference.setting,
                expected=difference.expected,
                found=difference.found,
            )


def _wrong(difference: Drift, service: str, settings: KafkaSettings) -> str | None:
    """Why a service cannot work with this difference, and what to do; None where it can."""
    topic, setting = difference.topic, difference.setting
    if setting == EXISTS:
        return f"topic {topic} is missing; {_APPLY}"
    if setting == _TIMESTAMPS:
        commands = TOPICS[topic].commands and service in TOPICS[topic].consumers
        if not (commands and settings.require_log_append_time):
            return None
        return (
            f"topic {topic} has {_TIMESTAMPS}={difference.found}; commands need LogAppendTime: {_APPLY}, or set "
            "LESSON_PROGRESS_KAFKA__REQUIRE_LOG_APPEND_TIME=false for a development broker"
        )
    if difference.found == UNKNOWN:
        return None
    too_few = setting in {PARTITIONS, _SIZE} and int(difference.found) < int(difference.expected)
    if too_few or setting in _VITAL:
        return f"topic {topic} has {setting}={difference.found}, its card says {difference.expected}; {_APPLY}"
    return None
