"""All three services over one log and one database: what happens to them, who of them lives, and what must be true.

The model is simple: which completions were accepted, which lessons each course had, what operators asked for. Whatever
stops or stumbles on the way, in the end the promise holds.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Self

import structlog
from aiokafka import TopicPartition

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
from tests.support.issuer import DAY, NOW, ed25519_signer
from tests.support.lives import LIFE, Life
from tests.support.promise import Promise
from tests.support.replicas import SERVICES, Outside, Replica, start

COURSE, OTHER_COURSE = "course-1", "course-2"
LESSONS = ("lesson-1", "lesson-2")
RECORD, REJECTION, DEAD_LETTER = "record", "rejection", "dead letter"
#: What the outcomes of the log lines of progress mean; every other one is a rejection.
FATES = {"recorded": RECORD, "already_recorded": RECORD, "invalid": DEAD_LETTER, "dead_letter": DEAD_LETTER}
_READ = [topic for service in SERVICES for topic in consumed_by(service)]
_QUIET_SECONDS = 120.0
_SIGNER = ed25519_signer()
_tokens: dict[tuple[str, bool], bytes] = {}

Position = tuple[str, int, int]


def token(user_id: str, *, operator: bool = False) -> bytes:
    """A real token of this user, signed once."""
    key = (user_id, operator)
    if key not in _tokens:
        _tokens[key] = signed_token(_SIGNER, user_id, operator=operator)
    return _tokens[key]


class WorldClock:
    """The clock of the services' machines: it passes with the loop, and may be set to another time."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return NOW + int(asyncio.get_running_loop().time() * 1000) + self.ahead


class LivingWorld:
    """The platform's documents, the log, the processes; made inside a running loop of virtual time."""

    def __init__(self, *, learners: Collection[str] = ("ada", "bob"), batch_size: int = 1000, page: int = 2) -> None:
        self.clock = WorldClock()
        self._broker_clock = WorldClock()
        self.outside = Outside(self.clock, _SIGNER)
        self.log, self.db = self.outside.log, self.outside.db
        self.log._clock = self._broker_clock
        self.log.create("progress.replies.web")
        self.log.before_commit = self._nothing_unfinished
        self.batch_size, self.page = batch_size, page
        self.replicas: list[Replica] = []
        self.lives: list[Life] = []
        self.lines: list[MutableMapping[str, Any]] = []
        self._settled: set[Position] = set()
        self._broken: list[str] = []
        self._stack = ExitStack()
        # The model.
        self.fates: dict[Position, str] = {}
        self.accepted: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        self.catalogs: defaultdict[str, list[Collection[str]]] = defaultdict(list)
        self.changed_at: set[int] = set()
        self.letters: defaultdict[str, set[Position]] = defaultdict(set)
        #: Lessons that went while commands for them may still be handled: these are recorded, or rejected, or both.
        self.gone: set[str] = set()
        self.failed: set[str] = set()
        self.revoked: set[str] = set()
        self.reachable: set[str] = set()
        self._commands = 0
        self._platform(learners)

    # The platform's documents.

    def put(self, collection: str, document_id: str, **fields: Any) -> None:
        """Write a document as the platform does."""
        self.db[collection].documents[document_id] = {"_id": document_id, **fields}

    def _platform(self, learners: Collection[str]) -> None:
        self.course(COURSE, *LESSONS, previews=("preview-1",))
        self.course(OTHER_COURSE, "lesson-9")
        self.put("lessons", "orphan-1", moduleId="gone", title="Orphan", order=1)
        for number, user_id in enumerate(learners):
            self.learner(user_id, user_id.title())
            self.enroll(user_id, COURSE)
            if number == 0:
                self.enroll(user_id, OTHER_COURSE)

    def learner(self, user_id: str, name: str, *, email: bool = True) -> None:
        """A learner with this name."""
        address = {"email": f"{user_id}@example.org"} if email else {}
        self.put("users", user_id, name=name, **address)
        if email:
            self.reachable.add(user_id)

    def course(self, course_id: str, *lesson_ids: str, previews: Collection[str] = ()) -> None:
        """Give a course these lessons and no others."""
        module = f"{course_id}/module"
        lessons = self.db["lessons"].documents
        for lesson_id in [i for i, d in lessons.items() if d["moduleId"] == module and not d.get("isPreview")]:
            del lessons[lesson_id]
        self.put("courses", course_id, title=f"All of {course_id}", instructorName="Charles")
        self.put("courseModules", module, courseId=course_id, title="Module", order=1)
        for order, lesson_id in enumerate(lesson_ids):
            self.put("lessons", lesson_id, moduleId=module, title=lesson_id, order=order)
        for lesson_id in previews:
            self.put("lessons", lesson_id, moduleId=module, title=lesson_id, order=0, isPreview=True)
        self.catalogs[course_id].append(lesson_ids)

    def enroll(self, user_id: str, course_id: str) -> str:
        """A learner's place in a course."""
        key = f"{user_id}@{course_id}"
        self.put("enrollments", key, userId=user_id, courseId=course_id, enrolledAt=NOW - DAY)
        return key

    # What arrives.

    def complete(self, user_id: str, lesson_id: str, *, partition: int = 0, **changed: Any) -> Record:
        """A learner says that a lesson is finished, and this is accepted."""
        written = self.command(RECORD, lesson_id, user_id, partition=partition, **changed)
        self.accepted[user_id, lesson_id].add(written.timestamp)
        return written

    def command(self, fate: str, lesson_id: str = "lesson-1", user_id: str = "ada", **changed: Any) -> Record:
        """A command of which this must become; what differs from a good one is named."""
        self._commands += 1
        named = {"ce_id": f"command-{self._commands}", "reply_to": "progress.replies.web"}
        own = builders.envelope(authorization=changed.pop("authorization", token(user_id)), **named)
        headers = (*own, *changed.pop("headers", ()))
        record = replace(builders.command(lesson_id, user_id, **changed), headers=headers)
        return self.write(record, fate)

    def meet_a_bug(self, **changed: Any) -> Record:
        """A command on whose way a document stands that the code has not foreseen."""
        self.learner("eve", "Eve")
        self.put("courses", "course-bug", title="Bug")
        self.put("courseModules", "course-bug/module", courseId="course-bug", title="Module", order=1)
        self.put("lessons", "lesson-bug", moduleId="course-bug/module", title="Bug", order=0, isPreview=True)
        self.put("enrollments", "eve@course-bug", userId="eve", courseId="course-bug", enrolledAt="long ago")
        self.catalogs["course-bug"] = [()]
        return self.command(DEAD_LETTER, "lesson-bug", "eve", **changed)

    def write(self, record: Record, fate: str) -> Record:
        """Any record on progress' topics, of which this must become; a replay has the letter of its first place."""
        [written] = self.log.add(replace(record, timestamp=self._broker_clock()))
        self.fates[position(written)] = fate
        if fate == DEAD_LETTER and not record.topic.endswith(".replays"):
            self.letters["progress"].add(position(written))
        return written

    def change_course(self, course_id: str, *lesson_ids: str) -> None:
        """The platform changes the lessons of a course, and says so."""
        self.gone |= set(self.catalogs[course_id][-1]) - set(lesson_ids)
        self.course(course_id, *lesson_ids)
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
        lost = list(self.db["certificates"].documents.values())
        for collection in ("certificates", "fs.files", "fs.chunks"):
            self.db[collection].documents.clear()
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
        [written] = self.log.add(replace(record, timestamp=self._broker_clock()))
        return written

    def foreign(self, service: str, topic: str, value: bytes | None, **changed: Any) -> None:
        """A record that this service can do nothing with."""
        [written] = self.log.add(builders.record(topic, value=value, **changed))
        self.letters[service].add(position(written))

    # Who lives.

    async def __aenter__(self) -> Self:
        """Connect the services to this world, and keep every line that a living process logs."""
        random.seed(0)  # the jitter of back-offs, and where a message without a key goes
        self._stack.enter_context(self._logged())
        self._stack.enter_context(self.outside.connected())
        return self

    async def __aexit__(self, *_: object) -> None:
        with self._stack:
            await self._cleared()

    @contextmanager
    def _logged(self) -> Iterator[None]:
        processors = structlog.get_config()["processors"]
        before = processors.copy()
        processors[:] = [self._line]
        structlog.configure(processors=processors)
        try:
            yield
        finally:
            processors[:] = before
            structlog.configure(processors=processors)

    async def _cleared(self) -> None:
        """Clear away every process, dead or alive, without another effect."""
        for life in self.lives:
            life.end()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        await asyncio.get_running_loop().shutdown_asyncgens()

    def start(self, service: str, *, at: int | None = None) -> Replica:
        """A new process of this service, to be stopped at this point."""
        life = Life(service, at)
        self.lives.append(life)
        replica = start(service, self.outside, life, batch_size=self.batch_size, page=self.page)
        self.replicas.append(replica)
        return replica

    def expel(self, replica: Replica) -> None:
        """The group has not heard of this process for too long."""
        group = self.outside.groups[replica.service.name]
        for member in [m for m in group.members if m.life is replica.life]:
            group.leave(member)

    def rewind(self, back: int | None = None) -> None:
        """The offsets of every group go back, to the beginning where no number is given; whoever reads begins there."""
        for partition, offset in self.log.committed.items():
            self.log.committed[partition] = 0 if back is None else max(0, offset - back)
        for group in self.outside.groups.values():
            group.generation += 1

    async def stop(self, replica: Replica) -> None:
        """SIGTERM; who is dead or frozen does not end by it."""
        replica.service.stop()
        await self.until(lambda: replica.task.done() or replica.life.halted)

    async def quiet(self) -> None:
        """Wait until nothing is left to do, for the services that live."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _QUIET_SECONDS
        while self.busy():
            assert not self._broken, self._broken[0]
            assert loop.time() < deadline, f"still busy: {self.busy()}"
            await asyncio.sleep(0.1)
            for replica in self.replicas:
                if replica.task.done() and not replica.life.halted and replica.task.exception() is not None:
                    raise AssertionError(f"{replica.life.name} ended") from replica.task.exception()

    @staticmethod
    async def until(condition: Callable[[], object]) -> None:
        """Wait until this is so."""
        while not condition():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)

    def busy(self) -> Mapping[object, object]:
        """What is left to do."""
        left: dict[object, object] = {}
        left.update(self.log.behind(_READ))
        left.update({i: d for i, d in self.db["courseSweeps"].documents.items() if d.get("finishedAt") is None})
        left.update({i: d for i, d in self.db["notifications"].documents.items() if "emailDue" in d})
        return left

    # What must be true.

    def _line(self, _logger: object, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        life = LIFE.get()
        if life is None or not life.halted:
            self.lines.append(line)
            if "offset" in line and "outcome" in line:
                self._settled.add((line["topic"], line["partition"], line["offset"]))
        raise structlog.DropEvent

    def _nothing_unfinished(self, offsets: Mapping[TopicPartition, int]) -> None:
        for (topic, partition), end in offsets.items():
            unfinished = [o for o in range(end) if (topic, partition, o) not in self._settled]
            if unfinished:
                # Told by `quiet` and `check`: raised here, it would only end the task that commits.
                self._broken.append(f"committed beyond the finished prefix: {topic} {partition} {unfinished}")

    def check(self) -> None:
        """Nothing lost, nothing doubled.

        Raises:
            AssertionError: something is.
        """
        assert not self._broken, self._broken[0]
        assert not self.busy(), f"something is left to do: {self.busy()}"
        self._check_fates()
        promise = Promise(self.log, self.db, {service: self.letters[service] for service in SERVICES})
        promise.facts(self.accepted, doubtful=self.gone)
        promise.same_events()
        promise.percentages(self.catalogs, self.changed_at)
        promise.completions()
        promise.certificates(failed=self.failed, revoked=self.revoked)
        promise.notifications(self.outside.mailed, reachable=self.reachable)
        promise.letters()
        promise.replies(doubtful=self.gone)

    def _check_fates(self) -> None:
        found: defaultdict[Position, set[str]] = defaultdict(set)
        topics = set(consumed_by("progress"))
        for line in self.lines:
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
