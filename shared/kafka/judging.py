"""What became of records, long after they were handled: the same admission, and the same decision, without effects."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from shared.clock import Clock
from shared.errors import Transient
from shared.identity import Reason, TokenVerifier
from shared.identity.key_memory import REMEMBERED_MS
from shared.kafka.admission import Admission, Delivery
from shared.kafka.records import LOG_APPEND_TIME, Accepts, Event, Received, Record
from shared.verification import Fate, Unjudged, Verdict

#: Says what should have become of readable records, in the same order; changes nothing.
Decide = Callable[[Sequence[Received[Any]]], Awaitable[Sequence[Verdict]]]


class Fact(NamedTuple):
    """Something stored, and the events that must have been published of it."""

    subject: str
    enrollment_id: str
    events: Sequence[Event]


class Judgement(NamedTuple):
    """One record, judged."""

    type: str
    verdict: Verdict
    #: The record's time, epoch ms.
    at: int
    #: What its answers refer to it by.
    reference: str
    #: Nothing but the record itself decided: no later change can have led to another end.
    certain: bool


class RecordJudge:
    """Judges the records that one service reads."""

    def __init__(
        self, service: str, accepts: Mapping[str, Accepts], verifier: TokenVerifier, clock: Clock, decide: Decide
    ) -> None:
        self._admission = Admission(service, accepts, verifier, clock)
        self._clock = clock
        self._decide = decide

    async def judge(self, records: Sequence[Record]) -> list[Judgement]:
        """Judge a batch in a fixed number of round trips.

        Raises:
            Transient: the database, or the issuer's key set, does not answer.
        """
        deliveries = await self._admission.admit([_timed(record) for record in records])
        received = [d.received for d in deliveries if d.outcome is None and d.received is not None]
        verdicts = iter(await self._decide(received)) if received else iter(())
        return [
            _judged(delivery, next(verdicts), certain=False)
            if delivery.outcome is None
            else _judged(delivery, self._of_admission(delivery), certain=True)
            for delivery in deliveries
        ]

    def _of_admission(self, delivery: Delivery) -> Verdict:
        """What size, type, token and payload alone have decided.

        Raises:
            Transient: there is nobody to ask about the token.
        """
        outcome = delivery.outcome
        assert outcome is not None  # noqa: S101 - see `judge`
        if isinstance(outcome.failure, Transient):
            raise outcome.failure
        if outcome.failure is not None:
            return Verdict(Fate.DEAD_LETTER, type(outcome.failure).__name__)
        forgotten = delivery.at < self._clock() - REMEMBERED_MS
        if forgotten and outcome.log_fields.get("refusal") == Reason.UNKNOWN_KEY.value:
            return Verdict(Fate.UNDECIDABLE, Unjudged.KEY_FORGOTTEN)
        return Verdict(Fate.REJECTED, outcome.name)


def _timed(record: Record) -> Record:
    """Where the broker does not stamp records, their own timestamps stand in for the moment of their handling."""
    return record if record.timestamp_type == LOG_APPEND_TIME else replace(record, timestamp_type=LOG_APPEND_TIME)


def _judged(delivery: Delivery, verdict: Verdict, *, certain: bool) -> Judgement:
    return Judgement(delivery.type, verdict, delivery.at, delivery.reference, certain)
