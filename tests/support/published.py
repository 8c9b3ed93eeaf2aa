"""Everything the three services publish, in memory: one learner's way to a certificate, and every refusal there is."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from prometheus_client import CollectorRegistry

from services.progress.messaging import ACCEPTS, ProgressMessages
from services.progress.metrics import ProgressMetrics
from shared.contracts.operators import CertificateRevoke, ProgressRecalculate
from shared.contracts.topics import CERTIFICATE_COMMANDS, RECALCULATION_COMMANDS
from shared.kafka.records import Record
from tests.support.builders import catalog, command, enrollment_id, envelope, operator_command, token
from tests.support.certifying import Certifying, generate, restore, revoke
from tests.support.fake_log import FakeLog
from tests.support.fakes_certificates import academy
from tests.support.fakes_recalculator import FakeRecalculatorStore
from tests.support.key_set import FakeClock
from tests.support.process import Process
from tests.support.recalculating import Recalculating, course_changed, recalculate_command

REPLIES = "progress.replies.web"
_ENROLLMENT = enrollment_id("learner-1")
_TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def answered(sent: Record) -> Record:
    """The same command from a gateway that waits for the reply and traces its calls."""
    own = [(name, value) for name, value in sent.headers if name != "reply-to"]
    asked = [("reply-to", REPLIES.encode()), ("correlation-id", b"click-7"), ("ce_traceparent", _TRACE)]
    return replace(sent, headers=(*own, *asked))


class Published:
    """The three services over one log; whatever is `sent` goes all the way."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.log = FakeLog(clock)
        self.log.create(REPLIES)
        registry = CollectorRegistry()
        progress = catalog({"course-1": ["lesson-1"]})
        messages = ProgressMessages(progress, ProgressMetrics(registry), clock)
        self._progress = Process(
            self.log, accepts=ACCEPTS, handler=messages, observer=messages.observe, clock=clock, registry=registry
        )
        self._facts = FakeRecalculatorStore()
        self._recalculator = Recalculating(self.log, self._facts, clock)
        self._certificates = Certifying(self.log, academy(_ENROLLMENT), clock)

    async def prepare(self) -> None:
        """One course with one lesson, which is completed as soon as its event is read."""
        await self._facts.course("course-1", ["lesson-1"])
        await self._facts.enroll(_ENROLLMENT, "learner-1", "course-1")
        await self._facts.complete("learner-1", "lesson-1")

    async def sent(self, records: Sequence[Record]) -> None:
        """Handle these commands and everything that follows from them."""
        self.log.add(*records)
        await self._progress.run()
        await self._recalculator.run()
        await self._certificates.process.run()

    def by_type(self) -> dict[str, list[Record]]:
        """Every record that a service wrote, by its message type; dead letters are no messages of their own."""
        found: defaultdict[str, list[Record]] = defaultdict(list)
        for topic in self.log.topics:
            if topic.endswith((".commands", ".deadletters", ".replays")):
                continue
            for record in self.log.read(topic):
                found[dict(record.headers)["ce_type"].decode()].append(record)
        return found


async def everything_published() -> Published:
    """Every event, every reply and every refusal."""
    system = Published()
    await system.prepare()
    await system.sent([answered(record) for record in (command(), *_refused())])
    await system.sent(
        [answered(r) for r in (recalculate_command(_ENROLLMENT), course_changed("course-1"), generate(_ENROLLMENT))]
    )
    await system.sent([answered(restore(_ENROLLMENT)), answered(revoke(_ENROLLMENT, reason="a mistake"))])
    return system


def _refused() -> list[Record]:
    """One command for each refusal."""
    learner = envelope(ProgressRecalculate.TYPE, authorization=token("learner-1"), ce_id="recalculate-2")
    return [
        command(authorization=b"Bearer forged"),
        command("nowhere"),
        command("orphan-1"),
        command("preview-1"),
        command(user_id="stranger"),
        command(value=b'{"lessonId":7}'),
        recalculate_command("nowhere"),
        operator_command(ProgressRecalculate(enrollment_id="nowhere"), RECALCULATION_COMMANDS, headers=learner),
        operator_command(CertificateRevoke(enrollment_id="nowhere"), CERTIFICATE_COMMANDS),
    ]
