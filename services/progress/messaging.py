"""Kafka on one side, progress' handlers on the other; no rules."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from services.progress.domain import Command, Completion, Recorded
from services.progress.handlers import Examined, examine, mark_complete
from services.progress.metrics import ProgressMetrics
from services.progress.ports import ProgressRecords, ProgressStore
from shared.clock import Clock
from shared.contracts.gateways import LessonComplete
from shared.contracts.ids import deterministic_id
from shared.contracts.progress import LessonCompleted, LessonMarked
from shared.contracts.rejections import Rejection
from shared.contracts.topics import LESSON_COMPLETED
from shared.kafka.records import Accepts, Event, Outcome, Received, rejected
from shared.verification import Fate, Unjudged, Verdict

#: Topic, partition and offset of a record.
Position: TypeAlias = tuple[str, int, int]
Answer: TypeAlias = Recorded | Rejection

#: More commands in mid-retry than this are not told from repeats any more: a matter of counting alone.
_REMEMBERED = 50_000

ACCEPTS = {LessonComplete.TYPE: Accepts(LessonComplete, token=True)}


class ProgressMessages:
    """Commands in, outcomes out."""

    def __init__(self, store: ProgressStore, metrics: ProgressMetrics, clock: Clock) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        #: Which command made a record, until it is finished: when its event must be published again, the command comes
        #: again and finds its own record.
        self._unfinished: dict[str, Position] = {}
        #: Commands that were given to the store without hearing what became of them.
        self._unanswered: dict[Position, None] = {}

    async def __call__(self, batch: Sequence[Received[LessonComplete]]) -> list[Outcome]:
        """Handle a batch of `lesson.complete.v1`."""
        try:
            answers = await mark_complete([_command(received) for received in batch], self._store)
        except Exception:
            # The answer may be lost alone: what comes again may find the records it has stored itself.
            self._unanswered.update((_position(received), None) for received in batch)
            _forget_the_oldest(self._unanswered)
            raise
        now = self._clock()
        answers = [self._counted(*pair, now) for pair in zip(batch, answers, strict=True)]
        return [_outcome(received, answer) for received, answer in zip(batch, answers, strict=True)]

    def _counted(self, received: Received[LessonComplete], answer: Answer, now: int) -> Answer:
        """The answer; `already` only where another command made the record, not an earlier try of this one."""
        position = _position(received)
        unanswered = position in self._unanswered
        self._unanswered.pop(position, None)
        if isinstance(answer, Rejection):
            return answer
        identity = answer.completion.progress_id
        maker = self._unfinished.get(identity)
        own = unanswered and maker is None and answer.completion.completed_at == received.at
        if own or not answer.already:
            self._unfinished[identity] = position
            _forget_the_oldest(self._unfinished)
            self._metrics.recorded(age_ms=answer.age, propagation_ms=now - received.at)
        elif maker != position:
            return answer
        return answer._replace(already=False) if answer.already else answer

    def observe(self, message_type: str, outcome: Outcome) -> None:
        """Count what became of a command."""
        if message_type == LessonComplete.TYPE:
            self._metrics.command(outcome.name)
            if isinstance(outcome.reply, LessonMarked) and not outcome.reply.already_completed:
                self._unfinished.pop(outcome.reply.progress_id, None)


def _forget_the_oldest(remembered: dict[Any, Any]) -> None:
    """What another replica finishes is never taken out here."""
    while len(remembered) > _REMEMBERED:
        del remembered[next(iter(remembered))]


def _position(received: Received[LessonComplete]) -> Position:
    record = received.record
    return record.topic, record.partition, record.offset


def _command(received: Received[LessonComplete]) -> Command:
    identity = received.identity
    if identity is None:
        raise ValueError("a command without identity was admitted")
    return Command(identity.user_id, received.message.lesson_id, received.at)


def _outcome(received: Received[LessonComplete], answer: Answer) -> Outcome:
    if isinstance(answer, Rejection):
        return rejected(answer, lesson_id=received.message.lesson_id)
    completion = answer.completion
    reply = LessonMarked(
        progress_id=completion.progress_id,
        lesson_id=completion.lesson_id,
        course_id=completion.course_id,
        enrollment_id=completion.enrollment_id,
        completed_at=completion.completed_at,
        already_completed=answer.already,
    )
    return Outcome(
        "already_recorded" if answer.already else "recorded",
        events=[lesson_completed(completion)],
        reply=reply,
        log_event="lesson.completed",
        log_fields={
            "userId": completion.user_id,
            "lessonId": completion.lesson_id,
            "courseId": completion.course_id,
            "timestamp": completion.completed_at,
        },
    )


def lesson_completed(completion: Completion) -> Event:
    """The event of a stored fact: always the same one, published on every handling."""
    message = LessonCompleted(
        progress_id=completion.progress_id,
        user_id=completion.user_id,
        lesson_id=completion.lesson_id,
        course_id=completion.course_id,
        enrollment_id=completion.enrollment_id,
        completed_at=completion.completed_at,
    )
    event_id = deterministic_id(LessonCompleted.TYPE, completion.progress_id)
    return Event(LESSON_COMPLETED, completion.enrollment_id, message, event_id, completion.completed_at)


async def verdicts(batch: Sequence[Received[LessonComplete]], store: ProgressRecords) -> list[Verdict]:
    """What must have become of these commands, as far as what is stored now can say; nothing is changed."""
    examined = await examine([_command(received) for received in batch], store)
    return [_verdict(received, one) for received, one in zip(batch, examined, strict=True)]


def _verdict(received: Received[LessonComplete], examined: Examined) -> Verdict:
    stored, decision = examined.stored, examined.decision
    course_id = examined.lesson.course_id if examined.lesson is not None else None
    if stored is not None:
        place = stored.progress_id, stored.enrollment_id, stored.course_id
        return Verdict(Fate.RECORDED, "recorded", *place)
    if isinstance(decision, Rejection):
        return Verdict(Fate.REJECTED, decision.outcome, course_id=course_id)
    place = decision.progress_id, decision.enrollment_id, decision.course_id
    if examined.enrolled_at > received.at:
        return Verdict(Fate.UNDECIDABLE, Unjudged.ENROLLED_SINCE, *place)
    return Verdict(Fate.MISSING, "recorded", *place)
