"""From a record to a message a handler can trust: size, type, token, payload, in this order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from pydantic import ValidationError

from shared.clock import Clock
from shared.contracts import envelope as ce
from shared.contracts.rejections import INVALID_COMMAND, NOT_AUTHENTICATED, OPERATOR_REQUIRED, CommandRejected
from shared.contracts.topics import TOPICS, replays_of
from shared.contracts.values import Message
from shared.errors import Fatal, Permanent, Transient
from shared.identity import Identity, NotAuthenticated, TokenVerifier, bearer
from shared.kafka.deadletter import ORIGINAL_TIMESTAMP
from shared.kafka.records import LOG_APPEND_TIME, Accepts, Outcome, Received, Record, last_header, rejected

_log = structlog.get_logger()


class TooLarge(Permanent):
    """The record is larger than its topic allows."""


class UnreadableEnvelope(Permanent):
    """The headers do not say what the record is."""


class UnknownType(Permanent):
    """A type, or a major version, that this service does not handle."""


class InvalidPayload(Permanent):
    """The value is not the JSON object that its type asks for."""


@dataclass(slots=True)
class Delivery:
    """One record on its way through the loop; exactly one of `received` and `outcome` is there after admission."""

    record: Record
    received: Received[Message] | None = None
    outcome: Outcome | None = None
    envelope: ce.Envelope | None = None
    at: int = 0
    #: Everything that follows from the record is done: its offset may be committed.
    settled: bool = False
    _cause: ce.Cause | None = None

    @property
    def type(self) -> str:
        """The message's type, for logs and metrics; an unknown one is not repeated there."""
        return self.envelope.type if self.envelope is not None else "unreadable"

    @property
    def reference(self) -> str:
        """The sender's `ce_id`, or this record's position where the sender gave none."""
        sent = self.envelope.id if self.envelope is not None else None
        return sent or f"{self.record.topic}:{self.record.partition}:{self.record.offset}"

    @property
    def correlation(self) -> str:
        """What ties this record's logs and events together: the sender's correlation, or the record itself."""
        envelope = self.envelope
        if envelope is None:
            return self.reference
        named = envelope.correlation_id.decode() if envelope.correlation_id is not None else None
        return envelope.correlation or named or self.reference

    @property
    def cause(self) -> ce.Cause:
        """What the messages that follow from this record carry of it; worked out once it has been opened."""
        if self._cause is None:
            traceparent = self.envelope.traceparent if self.envelope is not None else None
            self._cause = ce.Cause(self.correlation, self.reference, traceparent)
        return self._cause

    def fail(self, failure: Exception) -> None:
        """Note what stands in the way; the outcome so far is given up, with its events and its reply.

        A record that waits is decided anew when it comes again, and answered then.
        """
        name = "dead_letter" if self.outcome is None or self.outcome.failure is None else self.outcome.name
        self.outcome = Outcome(name, failure=failure)


class Admission:
    """Reads a batch of records; what cannot be admitted has its outcome already."""

    def __init__(self, service: str, accepts: Mapping[str, Accepts], verifier: TokenVerifier, clock: Clock) -> None:
        self._accepts = accepts
        self._verifier = verifier
        self._clock = clock
        self._replays = replays_of(service)

    async def admit(self, records: Sequence[Record]) -> list[Delivery]:
        """Read every record; never raises for what a record holds.

        Raises:
            Fatal: the process cannot do its work.
        """
        try:
            return await self._admit(records)
        except Fatal:
            raise
        except Exception as failure:  # noqa: BLE001 - a bug is a record's failure, counted and bounded
            # A bug that one record brings to light must not condemn its neighbours: each is read alone.
            _log.exception("admission.failed", records=len(records))
            if len(records) > 1:
                return [delivery for record in records for delivery in await self.admit([record])]
            return [_stumbled(record, self._time_of(record, self._clock()), failure) for record in records]

    async def _admit(self, records: Sequence[Record]) -> list[Delivery]:
        now = self._clock()
        deliveries = [self._open(record, now) for record in records]
        commands = [d for d in deliveries if d.outcome is None and self._expected(d).token]
        try:
            identities = dict(zip(map(id, commands), await self._authenticate(commands), strict=True))
        except Transient as failure:
            for delivery in commands:
                delivery.fail(failure)
            identities = {}
        for delivery in deliveries:
            if delivery.outcome is None:
                self._read(delivery, identities.get(id(delivery)))
        return deliveries

    def _open(self, record: Record, now: int) -> Delivery:
        delivery = Delivery(record, at=self._time_of(record, now))
        limit = TOPICS[record.topic].max_bytes
        if record.value is not None and len(record.value) > limit:
            delivery.outcome = _dead(TooLarge())
            return delivery
        try:
            delivery.envelope = ce.read(record.headers)
        except ce.Malformed:
            delivery.outcome = _dead(UnreadableEnvelope())
            return delivery
        if delivery.envelope.type not in self._accepts:
            delivery.envelope = None
            delivery.outcome = _dead(UnknownType())
        return delivery

    def _time_of(self, record: Record, now: int) -> int:
        if record.topic == self._replays:
            return _milliseconds(last_header(record.headers, ORIGINAL_TIMESTAMP), otherwise=now)
        return record.timestamp if record.timestamp_type == LOG_APPEND_TIME else now

    def _expected(self, delivery: Delivery) -> Accepts:
        assert delivery.envelope is not None  # noqa: S101 - an opened delivery without outcome has its envelope
        return self._accepts[delivery.envelope.type]

    async def _authenticate(self, commands: Sequence[Delivery]) -> list[Identity | NotAuthenticated]:
        tokens: list[tuple[str | NotAuthenticated, int]] = []
        for delivery in commands:
            try:
                tokens.append((bearer(delivery.record.headers), delivery.at))
            except NotAuthenticated as refusal:
                tokens.append((refusal, delivery.at))
        known = [(token, at) for token, at in tokens if isinstance(token, str)]
        verified = iter(await self._verifier.authenticate_batch(known)) if known else iter(())
        return [token if isinstance(token, NotAuthenticated) else next(verified) for token, _ in tokens]

    def _read(self, delivery: Delivery, identity: Identity | NotAuthenticated | None) -> None:
        expected = self._expected(delivery)
        message = _parse(expected.model, delivery.record.value)
        if isinstance(identity, NotAuthenticated):
            lesson_id = getattr(message, "lesson_id", None)
            delivery.outcome = rejected(NOT_AUTHENTICATED, lesson_id=lesson_id, refusal=identity.reason)
        elif expected.operator and not (identity is not None and identity.operator):
            delivery.outcome = rejected(OPERATOR_REQUIRED)
        elif message is None:
            delivery.outcome = _invalid(command=expected.token)
        else:
            assert delivery.envelope is not None  # noqa: S101 - see `_expected`
            delivery.received = Received(delivery.record, delivery.envelope, message, delivery.at, identity)


def _parse(model: type[Message], value: bytes | None) -> Message | None:
    try:
        return model.from_json(value or b"")
    except ValidationError:
        return None


def _stumbled(record: Record, at: int, failure: Exception) -> Delivery:
    delivery = Delivery(record, at=at)
    delivery.fail(failure)
    return delivery


def _dead(failure: Permanent) -> Outcome:
    return Outcome("dead_letter", failure=failure)


def _invalid(*, command: bool) -> Outcome:
    if not command:
        return _dead(InvalidPayload())
    reply = CommandRejected(code=INVALID_COMMAND.code, reason=INVALID_COMMAND.reason)
    return Outcome(INVALID_COMMAND.outcome, reply=reply, failure=InvalidPayload())


def _milliseconds(value: bytes | None, *, otherwise: int) -> int:
    text = (value or b"").decode("ascii", "replace")
    return int(text) if text.isdecimal() and len(text) <= len(str(otherwise)) else otherwise
