"""Watching a replay arrive: how far each stage is, and how long each fact took to get there."""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from ops.replay.plan import PlannedCommand
from shared.contracts.certificates import CertificateIssued
from shared.contracts.progress import LessonMarked
from shared.contracts.recalculator import EnrollmentProgressed
from shared.contracts.topics import CERTIFICATE_ISSUED, ENROLLMENT_PROGRESSED, PROGRESS_REPLIES

TOPICS = (PROGRESS_REPLIES, ENROLLMENT_PROGRESSED, CERTIFICATE_ISSUED)
STAGES = ("recorded", "progressed", "certificate")


@dataclass(slots=True)
class Watch:
    """What has arrived of a replay so far. Times are of this process' monotonic clock, in seconds.

    Commands of one learner share a partition, so an enrollment's completions are recorded in the order they were
    sent: a state with n completions says that the first n have arrived.
    """

    run: str
    enrollment_of: Mapping[tuple[str, str], str]
    #: How many commands were sent, and how many sendings only repeated one.
    sent: int = 0
    sent_again: int = 0
    #: By their type; a command that was handled twice, or sent again, is answered more than once.
    replies: Counter[str] = field(default_factory=Counter)
    enrollments: set[str] = field(default_factory=set)
    certificates: set[str] = field(default_factory=set)
    seconds: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in STAGES})
    _commands: set[int] = field(default_factory=set)
    _answered: set[str] = field(default_factory=set)
    _sent_at: dict[str, float] = field(default_factory=dict)
    _open: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _arrived: Counter[str] = field(default_factory=Counter)
    _last_sent: dict[str, float] = field(default_factory=dict)
    _ours: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._ours = frozenset(self.enrollment_of.values())

    @property
    def arrived(self) -> tuple[int, int, int]:
        """How many answers, completions in a state, and certificates have come."""
        return self.answered, self._arrived.total(), len(self.certificates)

    @property
    def answered(self) -> int:
        """Commands that were answered, whatever the answer."""
        return len(self._answered)

    def has_answer(self, command: PlannedCommand) -> bool:
        """Whether this command was answered."""
        return self._name(command) in self._answered

    def _name(self, command: PlannedCommand) -> str:
        return f"{self.run}:{command.index}"

    def sending(self, command: PlannedCommand) -> None:
        """Note that this command is on its way."""
        now = time.perf_counter()
        if command.index in self._commands:
            self.sent_again += 1
            return
        self._commands.add(command.index)
        self.sent += 1
        if not command.first:
            return
        self._sent_at[self._name(command)] = now
        enrollment = self.enrollment_of[command.completion.user_id, command.completion.course_id]
        self._open[enrollment].append(now)
        self._last_sent[enrollment] = now

    async def follow(self, reader: AIOKafkaConsumer) -> None:
        """Note whatever arrives, until cancelled."""
        while True:
            for records in (await reader.getmany(timeout_ms=1000, max_records=5000)).values():
                now = time.perf_counter()
                for record in records:
                    self._arrival(record, now)

    def _arrival(self, record: ConsumerRecord[bytes, bytes], now: float) -> None:
        headers = dict(record.headers)
        if record.topic == PROGRESS_REPLIES:
            self._reply(headers, now)
        elif (record.key or b"").decode("utf-8", "replace") in self._ours:
            # Others share these topics, and certificates are also revoked in theirs.
            match (headers.get("ce_type") or b"").decode("utf-8", "replace"):
                case EnrollmentProgressed.TYPE:
                    self._progressed(EnrollmentProgressed.from_json(record.value or b""), now)
                case CertificateIssued.TYPE:
                    self._issued(CertificateIssued.from_json(record.value or b""), now)

    def _reply(self, headers: Mapping[str, bytes | None], now: float) -> None:
        correlation = (headers.get("correlation-id") or b"").decode("utf-8", "replace")
        if not correlation.startswith(f"{self.run}:"):
            return
        reply = (headers.get("ce_type") or b"").decode("utf-8", "replace")
        self.replies[reply] += 1
        self._answered.add(correlation)
        sent = self._sent_at.pop(correlation, None)
        if sent is not None and reply == LessonMarked.TYPE:  # a rejection records nothing
            self.seconds["recorded"].append(now - sent)

    def _progressed(self, state: EnrollmentProgressed, now: float) -> None:
        self.enrollments.add(state.enrollment_id)
        waiting = self._open[state.enrollment_id]
        while waiting and self._arrived[state.enrollment_id] < state.completed:
            self.seconds["progressed"].append(now - waiting.popleft())
            self._arrived[state.enrollment_id] += 1

    def _issued(self, certificate: CertificateIssued, now: float) -> None:
        if certificate.enrollment_id in self.certificates:
            return
        self.certificates.add(certificate.enrollment_id)
        if (sent := self._last_sent.get(certificate.enrollment_id)) is not None:
            self.seconds["certificate"].append(now - sent)


def percentiles(values: list[float]) -> dict[str, float]:
    """The 50th, 95th and 99th percentile by nearest rank, in seconds; zeros when nothing was measured."""
    ordered = sorted(values)
    return {
        f"p{p}": round(ordered[max(0, -(-len(ordered) * p // 100) - 1)], 4) if ordered else 0.0 for p in (50, 95, 99)
    }
