"""The topic cards, as data: purpose, key, producers, consumers, types, size and retention of every topic."""

import re
from dataclasses import dataclass, field
from typing import Literal

_KIB = 1024
_MIB = 1024 * _KIB
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS

COMMAND_BYTES = 256 * _KIB
EVENT_BYTES = _MIB
DEAD_LETTER_BYTES = 4 * _MIB

Service = Literal["progress", "recalculator", "certificates"]
SERVICES: tuple[Service, ...] = ("progress", "recalculator", "certificates")

#: What every topic needs: the broker's own clock, no majority that forgets, and records as they are: compressed ones
#: may be far larger than the topic's limit, and need codecs that a consumer may not have.
_SAFETY = {
    "message.timestamp.type": "LogAppendTime",
    "compression.type": "uncompressed",
    "unclean.leader.election.enable": "false",
    "cleanup.policy": "delete",
}


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic's card. `partitions` may grow, never shrink; sizes in bytes, times in milliseconds."""

    name: str
    purpose: str
    key: str
    types: tuple[str, ...]
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    max_bytes: int
    retention_ms: int
    partitions: int = 6
    config: dict[str, str] = field(default_factory=dict)
    #: Its records are commands: tokens are judged against their time, which must be the broker's own.
    commands: bool = False

    def configuration(self, *, min_insync_replicas: int) -> dict[str, str]:
        """The broker's configuration of this topic."""
        return {
            **_SAFETY,
            "max.message.bytes": str(self.max_bytes),
            "retention.ms": str(self.retention_ms),
            "min.insync.replicas": str(min_insync_replicas),
            **self.config,
        }


def dead_letters_of(service: str) -> str:
    """The topic of records that this service could not handle."""
    return f"{service}.deadletters"


def replays_of(service: str) -> str:
    """The topic of dead letters sent again to this service alone."""
    return f"{service}.replays"


PROGRESS_COMMANDS = "progress.commands"
PROGRESS_REPLIES = "progress.replies"
LESSON_COMPLETED = "lesson.completed"
RECALCULATION_COMMANDS = "recalculation.commands"
ENROLLMENT_PROGRESSED = "enrollment.progressed"
COURSE_COMPLETED = "course.completed"
CERTIFICATE_COMMANDS = "certificate.commands"
CERTIFICATE_ISSUED = "certificate.issued"
NOTIFICATION_CREATED = "notification.created"

_FLOW: tuple[Topic, ...] = (
    Topic(
        PROGRESS_COMMANDS,
        "Learners' commands.",
        "userId",
        ("lesson.complete.v1",),
        ("gateways",),
        ("progress",),
        COMMAND_BYTES,
        7 * _DAY_MS,
        commands=True,
    ),
    Topic(
        PROGRESS_REPLIES,
        "Answers to commands, best effort; the shared one is for the demo and the command line.",
        "the command's key",
        ("lesson.marked.v1", "progress.recalculated.v1", "certificate.requested.v1", "command.rejected.v1"),
        SERVICES,
        ("gateways", "operators"),
        EVENT_BYTES,
        _HOUR_MS,
        partitions=1,
    ),
    Topic(
        LESSON_COMPLETED,
        "A learner finished a lesson: the fact everything else follows from.",
        "enrollmentId",
        ("lesson.completed.v1",),
        ("progress",),
        ("recalculator",),
        EVENT_BYTES,
        7 * _DAY_MS,
    ),
    Topic(
        RECALCULATION_COMMANDS,
        "Compute percentages again: one enrollment, or a whole course after a change.",
        "enrollmentId or courseId",
        ("progress.recalculate.v1", "course.changed.v1"),
        ("operators", "course platform"),
        ("recalculator",),
        COMMAND_BYTES,
        7 * _DAY_MS,
        commands=True,
    ),
    Topic(
        ENROLLMENT_PROGRESSED,
        "The latest state of an enrollment, for live screens.",
        "enrollmentId",
        ("enrollment.progressed.v1",),
        ("recalculator",),
        ("live screens",),
        EVENT_BYTES,
        _DAY_MS,
    ),
    Topic(
        COURSE_COMPLETED,
        "An enrollment has its completedAt.",
        "enrollmentId",
        ("course.completed.v1",),
        ("recalculator",),
        ("certificates",),
        EVENT_BYTES,
        7 * _DAY_MS,
    ),
    Topic(
        CERTIFICATE_COMMANDS,
        "Make a certificate again, withdraw it, or give it back after a restore.",
        "enrollmentId",
        ("certificate.generate.v1", "certificate.revoke.v1", "certificate.restore.v1"),
        ("operators",),
        ("certificates",),
        COMMAND_BYTES,
        7 * _DAY_MS,
        commands=True,
    ),
    Topic(
        CERTIFICATE_ISSUED,
        "A certificate can be downloaded and checked, or was withdrawn.",
        "enrollmentId",
        ("certificate.issued.v1", "certificate.revoked.v1"),
        ("certificates",),
        ("anyone",),
        EVENT_BYTES,
        7 * _DAY_MS,
    ),
    Topic(
        NOTIFICATION_CREATED,
        "The learner is told, once.",
        "userId",
        ("notification.created.v1",),
        ("certificates",),
        ("live screens",),
        EVENT_BYTES,
        7 * _DAY_MS,
    ),
)


def _repairs(service: str) -> tuple[Topic, Topic]:
    types = tuple(t for topic in _FLOW if service in topic.consumers for t in topic.types)
    letters = Topic(
        dead_letters_of(service),
        f"Records that {service} could not handle, byte for byte; they hold tokens: operators only.",
        "as received",
        types,
        (service,),
        ("operators",),
        DEAD_LETTER_BYTES,
        14 * _DAY_MS,
        partitions=1,
    )
    replays = Topic(
        replays_of(service),
        f"Dead letters sent again, to {service} alone.",
        "as received",
        types,
        ("operators",),
        (service,),
        DEAD_LETTER_BYTES,
        14 * _DAY_MS,
        partitions=1,
    )
    return letters, replays


TOPICS: dict[str, Topic] = {t.name: t for t in (*_FLOW, *(t for s in SERVICES for t in _repairs(s)))}

_REPLY_NAME = re.compile(r"progress\.replies(\.[A-Za-z0-9_-]+)*")
_REPLY_NAME_LENGTH = 200


def is_reply_topic(name: str) -> bool:
    """Whether a service may publish a reply to this topic."""
    return len(name) <= _REPLY_NAME_LENGTH and _REPLY_NAME.fullmatch(name) is not None


def reply_topic(gateway: str) -> Topic:
    """The card of one gateway's private reply topic.

    Raises:
        ValueError: the name gives no allowed topic.
    """
    name = f"{PROGRESS_REPLIES}.{gateway}"
    if not is_reply_topic(name):
        raise ValueError(f"{gateway!r} is no name for a reply topic: letters, digits, '_' and '-', parted by dots")
    shared = TOPICS[PROGRESS_REPLIES]
    return Topic(
        name,
        f"Answers to commands of {gateway}.",
        shared.key,
        shared.types,
        shared.producers,
        (gateway,),
        shared.max_bytes,
        shared.retention_ms,
        partitions=1,
    )


def consumed_by(service: str) -> tuple[str, ...]:
    """The topics a service reads, its replays included."""
    return tuple(t.name for t in TOPICS.values() if service in t.consumers)


def published_by(service: str) -> tuple[str, ...]:
    """The topics a service cannot work without: its events and its dead letters. Replies are best effort."""
    return tuple(t.name for t in TOPICS.values() if service in t.producers and not is_reply_topic(t.name))
