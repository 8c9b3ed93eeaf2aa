"""`audit --repair` and `recalculate --course`: what is said first, sent, waited for, and left."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import RequestTimedOutError

from ops.commands.documents import pieces
from ops.commands.options import write_report
from ops.development import DevelopmentIdentity, SigningAlgorithm
from ops.repair import auditing, carrying_out
from ops.repair.carrying_out import wait
from ops.repair.findings import Finding, Remedy, of_certificate, of_progress
from ops.repair.index import Index
from ops.repair.plan import Step
from ops.target import Target
from ops.unreadable import OnUnreadable
from services.certificates.inspection import Lack, Lacking
from services.recalculator.domain import Progress
from services.recalculator.inspection import Difference
from shared.kafka import assembly
from tests.unit.ops.conftest import Command


@dataclass
class Producer:
    """Takes everything, and acknowledges it or not."""

    failure: Exception | None = None
    sent: list[dict[str, bytes]] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)

    async def start(self) -> None:
        """It answers."""

    async def stop(self) -> None:
        """It ends."""

    async def flush(self) -> None:
        """Waits for acknowledgements, and says nothing about them, as aiokafka's does."""

    async def send(self, topic: str, _value: bytes, _key: bytes, *, headers: list[tuple[str, bytes]]) -> Any:
        self.sent.append(dict(headers))
        self.topics.append(topic)
        acknowledged: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if self.failure is None:
            acknowledged.set_result(None)
        else:
            acknowledged.set_exception(self.failure)
            acknowledged.exception()  # whoever does not look is not told
        return acknowledged


STALE = of_progress(Difference("enrollment-1", Progress(1, 4, 1.5), Progress(1, 4, 25.0)))
UNTOLD = of_certificate(Lacking("enrollment-1", Lack.CERTIFICATE_READY_MISSING, "c-1"), try_all=False)
NO_PDF = of_certificate(Lacking("enrollment-2", Lack.PDF_MISSING, "c-2"), try_all=False)
HOPELESS = Lacking("enrollment-3", Lack.CERTIFICATE_FAILED, "c-3", "glyph_missing", worth_trying=False)
FAILED = of_certificate(HOPELESS, try_all=False)


#: What heals these cannot be taken back: learners keep a new id, and a completion may be lost.
GONE = of_certificate(Lacking("enrollment-4", Lack.CERTIFICATE_MISSING, was_issued=True), try_all=False)
FALLING = of_progress(Difference("enrollment-5", Progress(3, 3, 100.0), Progress(2, 3, 66.67)))


@dataclass
class Audit:
    """Finds what a test says; each look at single enrollments finds the next thing."""

    found: list[Finding]
    looks: list[list[Finding]] = field(default_factory=list)
    asked: list[list[str]] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    async def findings(self, _: object) -> AsyncIterator[Finding]:
        for finding in self.found:
            yield finding

    async def among(self, enrollment_ids: Collection[str]) -> list[Finding]:
        self.asked.append(list(enrollment_ids))
        return self.looks.pop(0) if self.looks else []


@contextmanager
def holding(*findings: Finding) -> Iterator[Index]:
    """What an audit found."""
    with Index() as index:
        for finding in findings:
            index.add(finding)
        yield index


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> Audit:
    """An audit that finds one stale percentage, healed at the first look."""
    made = Audit([STALE])

    @asynccontextmanager
    async def auditing_(
        _: Target, *, try_all: bool, on_unreadable: OnUnreadable = lambda *_: None
    ) -> AsyncIterator[Audit]:
        assert not try_all
        for collection, identity in made.unreadable:
            on_unreadable(collection, identity)
        yield made

    monkeypatch.setattr(auditing, "auditing", auditing_)
    return made


@pytest.fixture
def producer(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Producer:
    """The producer of every command."""
    made = Producer()
    identity = DevelopmentIdentity.create(tmp_path, algorithm=SigningAlgorithm.ES256)
    monkeypatch.setenv("LESSON_PROGRESS_AUTH__JWKS", str(identity.key_set))
    monkeypatch.setattr(assembly, "make_producer", lambda *_, **__: made)
    return made


@pytest.mark.usefixtures("producer")
def test_an_audit_that_passed_over_a_document_names_it_and_is_not_passed(command: Command, audit: Audit) -> None:
    audit.found, audit.unreadable = [], [("lessonProgress", "torn")] * 2

    ended = command("audit")

    assert ended.code == 1
    assert "passed over, since it cannot be read: lessonProgress torn" in ended.err
    assert "1 document could not be read: mend them by hand, and audit again" in ended.err
    assert "No differences" not in ended.out


@pytest.mark.usefixtures("producer")
def test_an_audit_that_finds_nothing_is_one_sentence(command: Command, audit: Audit) -> None:
    audit.found = []

    ended = command("audit")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "No differences: percentages, certificates and notifications follow from the facts.\n"


@pytest.fixture
def _catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform with one course, bread."""

    class Courses:
        async def find_one(self, wanted: dict[str, str], _: object) -> dict[str, str] | None:
            return wanted if wanted == {"_id": "bread"} else None

    @asynccontextmanager
    async def database(_: Target) -> AsyncIterator[dict[str, Courses]]:
        yield {"courses": Courses()}

    monkeypatch.setattr(Target, "database", database)


@pytest.mark.usefixtures("_catalog")
def test_a_course_is_recalculated_only_where_there_is_one(command: Command, producer: Producer) -> None:
    unknown, known = command("recalculate", "--course", "braed"), command("recalculate", "--course", "bread")

    assert (unknown.code, unknown.out) == (1, "")
    assert "there is no course 'braed'; see the platform's collection courses" in unknown.err
    assert (known.code, known.out) == (0, "asked to recalculate every enrollment of bread\n")
    assert producer.topics == ["recalculation.commands"]


@pytest.mark.usefixtures("audit", "_catalog")
def test_what_the_broker_did_not_take_is_no_success(command: Command, producer: Producer, tmp_path: Path) -> None:
    producer.failure = RequestTimedOutError()

    course = command("recalculate", "--course", "bread")
    audited = command("audit", "--repair", "--report", str(tmp_path / "report.json"))

    for ended in (course, audited):
        assert ended.code == 1
        assert "failed (RequestTimedOutError)" in ended.err
        assert "sent." not in ended.out
    assert course.out == ""
    assert not (tmp_path / "report.json").exists()


@pytest.mark.usefixtures("producer", "audit")
def test_a_repair_is_reported_once_it_is_sent(command: Command, tmp_path: Path) -> None:
    ended = command("audit", "--repair", "--report", str(tmp_path / "report.json"))

    assert ended.code == 0
    assert "1 commands sent" in ended.out
    assert "Healed" in ended.out
    assert ended.err == f"the report is in {tmp_path / 'report.json'}\n"
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["repaired"], report["left"]) == (True, [])
    assert report["sent"] == {"progress.recalculate.v1": 1}
    assert [difference["enrollmentId"] for difference in report["differences"]] == ["enrollment-1"]


def test_the_plan_is_said_before_anything_is_sent_and_each_command_is_sent_once(
    command: Command, producer: Producer, audit: Audit
) -> None:
    audit.found = [STALE, UNTOLD, NO_PDF]

    ended = command("audit", "--repair", "--no-wait")

    assert ended.code == 0
    said, _, sent = ended.out.partition("2 commands sent.")
    assert "1 progress.recalculate.v1" in said
    assert "1 certificate.generate.v1" in said
    assert "audit again" in sent
    assert producer.topics == ["certificate.commands", "recalculation.commands"]
    assert audit.asked == []


def test_without_repair_each_difference_is_listed_with_its_command_and_nothing_is_sent(
    command: Command, producer: Producer, audit: Audit
) -> None:
    audit.found = [STALE, NO_PDF, FAILED]

    listed, as_json = command("audit"), command("audit", "--json")

    assert (listed.code, as_json.code) == (1, 1)
    for text in ("recalculate", "enrollment-2", "regenerate", "glyph_missing", "audit --repair"):
        assert text in listed.out + listed.err
    assert [row["healedBy"] for row in json.loads(as_json.out)] == [
        "progress.recalculate.v1",
        "certificate.generate.v1",
        None,
    ]
    assert producer.sent == []


def test_what_only_a_person_can_mend_is_left_and_nothing_is_sent_for_it(
    command: Command, producer: Producer, audit: Audit
) -> None:
    audit.found = [STALE, FAILED]

    ended = command("audit", "--repair")

    assert ended.code == 1
    assert "1 difference left that no command heals before the cause is mended (glyph_missing)" in ended.err
    assert len(producer.sent) == 1


def test_what_cannot_be_taken_back_is_sent_only_when_that_is_said(
    command: Command, producer: Producer, audit: Audit
) -> None:
    untold = of_certificate(Lacking("enrollment-4", Lack.COURSE_COMPLETED_MISSING), try_all=False)
    audit.found = [STALE, FALLING, GONE, untold]

    asked = command("audit", "--repair")
    careful = [headers["ce_id"] for headers in producer.sent]
    said = command("audit", "--repair", "--yes", "--no-wait")

    assert asked.code == 1
    assert "nothing without --yes" in asked.out
    assert "3 differences left, 3 of them because what heals them cannot be taken back" in asked.err
    assert "a completion may be lost" in command("audit").out.replace("\n", " ")
    assert len(careful) == 1
    assert said.code == 0
    assert len(producer.sent) == len(careful) + 3


def test_fewer_lessons_of_a_course_that_has_fewer_are_no_loss() -> None:
    fewer = of_progress(Difference("enrollment-6", Progress(3, 4, 75.0), Progress(2, 3, 66.67)))

    assert not fewer.final


def test_a_consent_without_a_repair_is_refused(command: Command) -> None:
    assert "add --repair" in command("audit", "--yes").err


def test_what_is_not_healed_in_time_is_said(command: Command, producer: Producer, audit: Audit) -> None:
    audit.looks = [[STALE]] * 100

    ended = command("audit", "--repair", "--patience", "1")

    assert ended.code == 1
    assert "1 difference left, and nothing more was healed for 1 s: are the services up?" in ended.err
    assert len(producer.sent) == 1


@pytest.mark.usefixtures("audit")
def test_two_repairs_of_one_enrollment_are_two_commands(command: Command, producer: Producer) -> None:
    command("audit", "--repair")
    command("audit", "--repair")

    first, second = (headers["ce_id"] for headers in producer.sent)
    assert first != second


def test_a_repair_without_a_token_is_refused_before_the_audit(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LESSON_PROGRESS_MONGO__URI", "mongodb://127.0.0.1:9/?directConnection=true")

    ended = command("audit", "--repair")

    assert "an operator's token is needed" in ended.err


def test_a_document_of_any_length_is_written_as_a_short_one_is(tmp_path: Path) -> None:
    rows: list[object] = [{"says": "25 %\u2028é\n", "left": [], "by": {"a": None}}, {}, [1, 2]]
    for made in (rows, [], rows[:1]):
        whole = {"differences": made, "repaired": True, "sent": {"progress.recalculate.v1": 1}, "left": None}
        write_report(tmp_path / "report.json", {**whole, "differences": iter(made)})

        assert "".join(pieces(iter(made))) == json.dumps(made, indent=2, ensure_ascii=False)
        assert (tmp_path / "report.json").read_text() == json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


@dataclass
class Restored:
    """Much is wrong, and nobody should hold it: a command heals one half, and a person the other."""

    wrong: int
    sent: int = 0

    async def findings(self, _: object) -> AsyncIterator[Finding]:
        for n in range(self.wrong):
            yield self._wrong(n, STALE)

    async def among(self, enrollment_ids: Collection[str]) -> list[Finding]:
        return [self._wrong(n, FAILED) for n in map(int, enrollment_ids) if n % 2]

    @staticmethod
    def _wrong(n: int, what: Finding) -> Finding:
        return replace(what, enrollment_id=f"{n:07}", says=f"{n} % is stored")

    async def send(self, *_: object, **__: object) -> asyncio.Future[None]:
        self.sent += 1
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.set_result(None)
        return acknowledged


def test_what_a_repair_holds_does_not_grow_with_what_is_wrong(
    command: Command, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying_out, "_IN_FLIGHT", 100)
    monkeypatch.setattr(carrying_out, "_AT_ONCE", 100)

    def peak(wrong: int) -> int:
        system = Restored(wrong)

        @asynccontextmanager
        async def auditing_(*_: object, **__: object) -> AsyncIterator[Restored]:
            yield system

        monkeypatch.setattr(auditing, "auditing", auditing_)
        monkeypatch.setattr(producer, "send", system.send)
        tracemalloc.start()
        try:
            ended = command("audit", "--repair", "--report", "report.json")
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert f"{wrong // 2} differences left that no command heals" in ended.err
        assert system.sent == wrong
        report = json.loads(Path("report.json").read_text())
        assert (len(report["differences"]), len(report["left"])) == (wrong, wrong // 2)
        return most

    peak(200)  # whatever is imported, and kept, is so by now

    assert peak(6_000) - peak(600) < 200_000  # bytes; one finding alone takes 300


class TestPlan:
    def test_a_command_heals_all_findings_of_its_kind_of_one_enrollment(self) -> None:
        with holding(STALE, UNTOLD, NO_PDF, FAILED) as index:
            planned, commands = index.plan(), list(index.commands())
            waiting = [list(page) for page in index.pages(1)]

        assert commands == [(Remedy.GENERATE, "enrollment-2"), (Remedy.RECALCULATE, "enrollment-1")]
        assert waiting == [["enrollment-1"], ["enrollment-2"]]
        assert planned.sent == {"certificate.generate.v1": 1, "progress.recalculate.v1": 1}
        assert planned.steps == [
            Step("certificate_failed", None, 1),
            Step("certificate_ready_notification_missing", Remedy.RECALCULATE, 1),
            Step("pdf_missing", Remedy.GENERATE, 1),
            Step("percentage", Remedy.RECALCULATE, 1),
        ]

    @pytest.mark.parametrize("kind", Lack)
    def test_each_kind_has_a_command_and_a_sentence(self, kind: Lack) -> None:
        finding = of_certificate(Lacking("enrollment-1", kind, "c-1"), try_all=False)

        assert finding.remedy is not None
        assert finding.says

    def test_failed_certificates_are_all_tried_where_that_is_asked_for(self) -> None:
        assert of_certificate(HOPELESS, try_all=True).remedy is Remedy.GENERATE


class TestWaiting:
    """Time passes by a second between two looks."""

    async def wait(self, audit: Audit, *found: Finding, patience: float = 3) -> tuple[list[Finding], list[int]]:
        now, heard = [0.0], list[int]()

        async def sleep(_: float) -> None:
            now[0] += 1

        with holding(*found) as index:
            await wait(audit, index, patience=patience, on_progress=heard.append, monotonic=lambda: now[0], sleep=sleep)
            return list(index.remaining()), heard

    async def test_it_ends_when_nothing_is_left_and_looks_only_at_what_is_not_healed(self) -> None:
        audit = Audit([], looks=[[STALE, NO_PDF], [NO_PDF], []])

        assert await self.wait(audit, STALE, NO_PDF) == ([], [2, 1, 0])
        assert audit.asked == [["enrollment-1", "enrollment-2"], ["enrollment-1", "enrollment-2"], ["enrollment-2"]]

    async def test_it_is_patient_as_long_as_something_is_healed(self) -> None:
        audit = Audit([], looks=[[STALE, NO_PDF]] * 3 + [[NO_PDF]] * 3)

        assert await self.wait(audit, STALE, NO_PDF) == ([], [2, 2, 2, 1, 1, 1, 0])

    async def test_it_gives_up_when_nothing_more_is_healed(self) -> None:
        audit = Audit([], looks=[[STALE]] * 9)

        assert await self.wait(audit, STALE) == ([STALE], [1, 1, 1, 1])

    async def test_what_turns_out_to_need_a_person_is_answered_and_not_waited_for(self) -> None:
        worth_trying = of_certificate(HOPELESS, try_all=True)
        audit = Audit([], looks=[[NO_PDF, FAILED], []])

        assert await self.wait(audit, NO_PDF, worth_trying) == ([FAILED], [1, 0])

    async def test_what_a_look_finds_takes_the_place_of_what_was_found_before(self) -> None:
        hopeless = replace(FAILED, enrollment_id="enrollment-1")

        assert await self.wait(Audit([], looks=[[hopeless]]), STALE, hopeless, FAILED) == ([FAILED, hopeless], [0])


def test_a_certificate_is_revoked_only_by_who_says_yes(command: Command, producer: Producer) -> None:
    ended = command("certificates", "revoke", "enrollment-1")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "the certificate of enrollment-1 would be revoked for good; repeat with --yes to do it\n"
    assert producer.sent == []
