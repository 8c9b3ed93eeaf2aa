"""What arrives in a living world, and what must become of each: the model that the services are held to.

The model is simple: which completions were accepted, which lessons each course had, what operators asked for.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from shared.clock import Clock
from shared.contracts.operators import (
    CertificateGenerate,
    CertificateRestore,
    CertificateRevoke,
    CourseChanged,
    ProgressRecalculate,
)
from shared.contracts.topics import CERTIFICATE_COMMANDS, RECALCULATION_COMMANDS, consumed_by
from shared.contracts.values import Message
from shared.kafka.records import Record
from tests.support import builders
from tests.support.builders import signed_token
from tests.support.documents import Documents
from tests.support.fake_log import FakeLog
from tests.support.issuer import ed25519_signer
from tests.support.living_platform import Platform
from tests.support.promise import Position

RECORD, REJECTION, DEAD_LETTER = "record", "rejection", "dead letter"
#: What the outcomes of the log lines of progress mean; every other one is a rejection.
FATES = {"recorded": RECORD, "already_recorded": RECORD, "invalid": DEAD_LETTER, "dead_letter": DEAD_LETTER}
#: Whose tokens are believed.
SIGNER = ed25519_signer()
_tokens: dict[tuple[str, bool], bytes] = {}


def token(user_id: str, *, operator: bool = False) -> bytes:
    """A real token of this user, signed once."""
    key = (user_id, operator)
    if key not in _tokens:
        _tokens[key] = signed_token(SIGNER, user_id, operator=operator)
    return _tokens[key]


class Arrivals:
    """Writes to the log what arrives there, and remembers what must become of it."""

    def __init__(self, log: FakeLog, db: Documents, platform: Platform, clock: Clock) -> None:
        self.log = log
        self.platform = platform
        self._db = db
        #: The broker's.
        self._clock = clock
        #: What must become of each command.
        self.fates: dict[Position, str] = {}
        #: The moments at which each completion was accepted, by learner and lesson.
        self.accepted: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        self.changed_at: set[int] = set()
        #: The records that must be dead letters, by service.
        self.letters: defaultdict[str, set[Position]] = defaultdict(set)
        #: Lessons that went while commands for them may still be handled: these are recorded, or rejected, or both.
        self.gone: set[str] = set()
        #: Enrollments whose certificate cannot be made, or was withdrawn.
        self.failed: set[str] = set()
        self.revoked: set[str] = set()
        self._commands = 0

    def complete(self, user_id: str, lesson_id: str, *, partition: int = 0, **changed: Any) -> Record:
        """A learner says that a lesson is finished, and this is accepted."""
        written = self.command(RECORD, lesson_id, user_id, partition=partition, **changed)
        self.accepted[user_id, lesson_id].add(written.timestamp)
        return written

    def command(self, fate: str, lesson_id: str = "lesson-1", user_id: str = "ada", **changed: Any) -> Record:
        """A command of which this must become; what differs from a good one is named."""
        self._commands += 1
        reply_to = changed.pop("reply_to", "progress.replies.web")
        named = {"ce_id": f"command-{self._commands}", "reply_to": reply_to}
        own = builders.envelope(authorization=changed.pop("authorization", token(user_id)), **named)
        headers = (*own, *changed.pop("headers", ()))
        record = replace(builders.command(lesson_id, user_id, **changed), headers=headers)
        return self.write(record, fate)

    def meet_a_bug(self, **changed: Any) -> Record:
        """A command on whose way a document stands that the code has not foreseen."""
        return self.command(DEAD_LETTER, *self.platform.unforeseen(), **changed)

    def write(self, record: Record, fate: str) -> Record:
        """Any record on progress' topics, of which this must become; a replay has the letter of its first place."""
        [written] = self.log.add(replace(record, timestamp=self._clock()))
        self.fates[position(written)] = fate
        if fate == DEAD_LETTER and not record.topic.endswith(".replays"):
            self.letters["progress"].add(position(written))
        return written

    def change_course(self, course_id: str, *lesson_ids: str) -> None:
        """The platform changes the lessons of a course, and says so."""
        self.gone |= set(self.platform.catalogs[course_id][-1]) - set(lesson_ids)
        self.platform.course(course_id, *lesson_ids)
        written = self.operator(CourseChanged(course_id=course_id), RECALCULATION_COMMANDS)
        self.changed_at.add(written.timestamp)

    def recalculate(self, enrollment_id: str) -> None:
        """An operator asks for a recalculation."""
        self.operator(ProgressRecalculate(enrollment_id=enrollment_id), RECALCULATION_COMMANDS)

    def generate(self, enrollment_id: str, partition: int = 0) -> None:
        """An operator asks for a certificate to be made again."""
        self.operator(CertificateGenerate(enrollment_id=enrollment_id), CERTIFICATE_COMMANDS, partition=partition)

    def revoke(self, enrollment_id: str, partition: int = 0) -> None:
        """An operator withdraws a certificate that is there."""
        self.operator(CertificateRevoke(enrollment_id=enrollment_id), CERTIFICATE_COMMANDS, partition=partition)
        self.revoked.add(enrollment_id)

    def lose_certificates(self) -> list[CertificateRestore]:
        """A restored database lacks every certificate; answers the commands that give them back."""
        lost = list(self._db["certificates"].documents.values())
        for collection in ("certificates", "fs.files", "fs.chunks"):
            self._db[collection].documents.clear()
        return [
            CertificateRestore(
                certificate_id=d["_id"],
                enrollment_id=d["enrollmentId"],
                user_id=d["userId"],
                course_id=d["courseId"],
                issued_at=d["issuedAt"],
                revoked_at=d.get("revokedAt"),
            )
            for d in lost
        ]

    def operator(self, message: Message, topic: str, *, partition: int = 0, allowed: bool = True) -> Record:
        """A command of an operator, who waits for the reply."""
        self._commands += 1
        headers = builders.envelope(
            message.TYPE,
            authorization=token("operator", operator=allowed),
            ce_id=f"command-{self._commands}",
            reply_to="progress.replies",
        )
        record = builders.record(topic, value=message.to_json(), key=b"key", headers=headers, partition=partition)
        [written] = self.log.add(replace(record, timestamp=self._clock()))
        return written

    def foreign(self, service: str, topic: str, value: bytes | None, **changed: Any) -> None:
        """A record that this service can do nothing with."""
        [written] = self.log.add(builders.record(topic, value=value, **changed))
        self.letters[service].add(position(written))

    def check_fates(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Each command has become what it must, as these lines of the log say.

        Raises:
            AssertionError: one has not.
        """
        found: defaultdict[Position, set[str]] = defaultdict(set)
        topics = set(consumed_by("progress"))
        for line in lines:
            if "outcome" in line and line["topic"] in topics:
                place = (line["topic"], line["partition"], line["offset"])
                found[place].add(FATES.get(line["outcome"], REJECTION))
        expected = {place: {fate} for place, fate in self.fates.items()}
        for place in expected.keys() & self._doubtful() & found.keys():
            if found[place] <= {RECORD, REJECTION}:
                expected[place] = found[place]
        wrong = {p: (found.get(p), expected.get(p)) for p in found | expected if found.get(p) != expected.get(p)}
        assert not wrong, f"commands: what became of them, and what should have: {wrong}"

    def _doubtful(self) -> set[Position]:
        """The commands for lessons that went."""
        named = {f'"lessonId":"{lesson_id}"'.encode() for lesson_id in self.gone}
        records = [r for topic in consumed_by("progress") for r in self.log.read(topic)]
        return {position(r) for r in records if any(name in (r.value or b"") for name in named)}


def position(record: Record) -> Position:
    """Where a record stands."""
    return record.topic, record.partition, record.offset
