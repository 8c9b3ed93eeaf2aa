"""What goes into a handler and what comes out: data only, so that every step between them can be enumerated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from aiokafka import ConsumerRecord, TopicPartition

from shared.contracts.envelope import Envelope, Headers
from shared.contracts.rejections import CommandRejected, Rejection
from shared.contracts.values import Message
from shared.identity import Identity, Reason

Record: TypeAlias = ConsumerRecord[bytes, bytes]
M_co = TypeVar("M_co", bound=Message, covariant=True)

#: A record's timestamp type when the broker's own clock wrote it (Kafka protocol, message format v2).
LOG_APPEND_TIME = 1


@dataclass(frozen=True, slots=True)
class Accepts:
    """One message type a service handles, and whom it takes it from."""

    model: type[Message]
    #: Commands carry a token; events of other services do not.
    token: bool = False
    #: Only an operator's token will do.
    operator: bool = False


class Received(NamedTuple, Generic[M_co]):
    """A record that was read: its message, who sent it (commands), and its time in epoch milliseconds."""

    record: Record
    envelope: Envelope
    message: M_co
    at: int
    identity: Identity | None


class Event(NamedTuple):
    """A fact to publish, built from the stored document: the same fact gives the same event."""

    topic: str
    key: str
    message: Message
    id: str
    #: The fact's own time, epoch milliseconds.
    time: int


class Outcome(NamedTuple):
    """What became of one record.

    `name` is the word for logs and metrics. A `failure` says what happens next by its class (shared.errors); an
    unknown class is a bug, tried five times.
    """

    name: str
    events: Sequence[Event] = ()
    reply: Message | None = None
    failure: Exception | None = None
    #: The log line's event where the contract names one; otherwise `<type>.<outcome>`.
    log_event: str | None = None
    log_fields: Mapping[str, object] = MappingProxyType({})


def rejected(rejection: Rejection, *, lesson_id: str | None = None, refusal: Reason | None = None) -> Outcome:
    """The outcome of a refused command; why a token was refused is for the log alone, its sender is not told."""
    reply = CommandRejected(code=rejection.code, reason=rejection.reason, lesson_id=lesson_id)
    return Outcome(rejection.outcome, reply=reply, log_fields={} if refusal is None else {"refusal": refusal.value})


def partition_of(record: Record) -> TopicPartition:
    """The topic and partition a record stands in."""
    return TopicPartition(record.topic, record.partition)


def last_header(headers: Headers, name: str) -> bytes | None:
    """The last value of a header, as the dead letters' readers take it."""
    return next((value for key, value in reversed(headers) if key == name), None)
