"""The audit on a system of its own: every kind of damage is named, healed by ordinary commands, and nothing doubled."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ops.stacks import StackKind
from shared.contracts.ids import notification_id, progress_id
from shared.contracts.topics import NOTIFICATION_CREATED
from tests.support.campus import Campus, CourseMade, Learner
from tests.support.command_line import lesson_progress
from tests.support.eventually import eventually
from tests.support.gateway import Gateway
from tests.support.system import System, running_system

_BACKGROUND = {
    "LESSON_PROGRESS_RECALCULATOR__AUDIT_SECONDS": "0.5",
    "LESSON_PROGRESS_RECALCULATOR__AUDIT_POLL_SECONDS": "0.2",
    "LESSON_PROGRESS_RECALCULATOR__AUDIT_SETTLE_SECONDS": "0.5",
}
RECALCULATE, GENERATE = "progress.recalculate.v1", "certificate.generate.v1"


@pytest.fixture(scope="module")
async def system(stack_kind: StackKind) -> AsyncIterator[System]:
    async with running_system(stack_kind, extra_environment=_BACKGROUND) as running:
        yield running


class Damage:
    """Breaks what is stored of learners who were done, and remembers what they had."""

    def __init__(self, gateway: Gateway, campus: Campus, course: CourseMade) -> None:
        self.gateway, self.campus, self.course = gateway, campus, course
        #: What the audit must find, by enrollment id.
        self.expected: dict[str, set[tuple[str, str | None]]] = {}
        self.certificate_ids: dict[str, str] = {}
        self.learners: list[Learner] = []

    async def learner(self, *expected: tuple[str, str | None], lessons: int = 2, name: str = "Maria") -> Learner:
        """A learner who completed so many lessons, all of which has arrived; the audit must find this of them."""
        learner = await self.campus.learner(self.course, name=name)
        for n, lesson in enumerate(self.course.lessons[:lessons], start=1):
            await self.gateway.complete(learner.user_id, lesson)
            await self.gateway.progressed(learner.enrollment_id, completed=n)
        self.expected[learner.enrollment_id] = set(expected)
        self.learners.append(learner)
        return learner

    async def certified(self, *expected: tuple[str, str | None]) -> Learner:
        """One who was given everything."""
        learner = await self.learner(*expected)
        issued = await self.gateway.certificate(learner.enrollment_id)
        await self.gateway.wait_for(NOTIFICATION_CREATED, lambda s: s.data["userId"] == learner.user_id, count=2)
        self.certificate_ids[learner.enrollment_id] = issued["certificateId"]
        return learner

    async def record(self, learner: Learner, lesson_id: str) -> None:
        """The record of a lesson whose event is lost."""
        document = {
            "_id": progress_id(learner.user_id, lesson_id), "userId": learner.user_id, "lessonId": lesson_id,
            "courseId": self.course.id, "enrollmentId": learner.enrollment_id, "completedAt": 1_700_000_100_000,
        }  # fmt: skip
        await self.campus.db["lessonProgress"].insert_one(document)

    async def set(self, collection: str, learner: Learner, **fields: Any) -> None:
        by = "_id" if collection == "enrollments" else "enrollmentId"
        await self.campus.db[collection].update_one({by: learner.enrollment_id}, {"$set": fields})

    async def remove(self, collection: str, **where: Any) -> None:
        await self.campus.db[collection].delete_many(where)


async def lost_events(damage: Damage) -> None:
    """A `lesson.completed` that never came, and a `course.completed` that never came."""
    learner = await damage.learner(("percentage", RECALCULATE), lessons=1)
    await damage.record(learner, damage.course.lessons[1])

    learner = await damage.learner(
        ("certificate_missing", RECALCULATE), ("course_completed_notification_missing", RECALCULATE), lessons=0
    )
    for lesson_id in damage.course.lessons:
        await damage.record(learner, lesson_id)
    done = {"progressPercent": 100.0, "completedLessons": 2, "totalLessons": 2, "revision": 2}
    await damage.set("enrollments", learner, **done, completedAt=1_700_000_100_000, progressedAt=1_700_000_100_000)


async def broken_documents(damage: Damage) -> None:
    """A percentage, a certificate at each stage, a PDF and notifications that are not what they ought to be."""
    await damage.set("enrollments", await damage.certified(("percentage", RECALCULATE)), progressPercent=1.5)

    learner = await damage.certified(("certificate_missing", RECALCULATE))
    await damage.remove("certificates", enrollmentId=learner.enrollment_id)
    del damage.certificate_ids[learner.enrollment_id]

    learner = await damage.certified(("certificate_unfinished", RECALCULATE))
    await damage.set("certificates", learner, status="pending", issuedAt=None, fileId=None)
    learner = await damage.certified(("certificate_unfinished", RECALCULATE))
    await damage.set("certificates", learner, status="rendered", issuedAt=None)
    learner = await damage.certified(("certificate_failed", GENERATE))
    await damage.set("certificates", learner, status="failed", failure={"code": "user_missing"}, fileId=None)

    for collection, by in (("fs.chunks", "files_id"), ("fs.files", "_id")):
        learner = await damage.certified(("pdf_missing", GENERATE))
        [certificate] = await damage.campus.certificates(learner)
        await damage.remove(collection, **{by: certificate["fileId"]})

    for kind in ("course_completed", "certificate_ready"):
        learner = await damage.certified((f"{kind}_notification_missing", RECALCULATE))
        await damage.remove("notifications", _id=notification_id(kind, learner.enrollment_id))


def kinds(found: list[dict[str, Any]]) -> dict[str, set[tuple[str, str | None]]]:
    by_enrollment: dict[str, set[tuple[str, str | None]]] = {}
    for row in found:
        by_enrollment.setdefault(row["enrollmentId"], set()).add((row["kind"], row["healedBy"]))
    return by_enrollment


async def everything_once(damage: Damage, learner: Learner) -> None:
    """One certificate with its PDF, under its id where it had one, and one notification of each kind."""
    await damage.gateway.certificate(learner.enrollment_id)
    [certificate] = await damage.campus.certificates(learner)
    assert certificate["status"] == "issued"
    assert certificate["_id"] == damage.certificate_ids.get(learner.enrollment_id, certificate["_id"])
    pdf = await damage.gateway.get("certificates", f"/v1/certificates/{certificate['_id']}/pdf")
    assert pdf.content.startswith(b"%PDF-")
    told = Counter(n["kind"] for n in await damage.campus.notifications(learner))
    assert told == {"course_completed": 1, "certificate_ready": 1}
    events = damage.gateway.seen(NOTIFICATION_CREATED, lambda s: s.data["userId"] == learner.user_id)
    assert len({event.headers["ce_id"] for event in events}) == 2
    assert (await damage.campus.enrollment(learner))["progressPercent"] == 100


async def test_every_kind_of_damage_is_named_and_healed_by_its_command_and_nothing_is_doubled(
    gateway: Gateway, campus: Campus, system: System, tmp_path: Path
) -> None:
    damage = Damage(gateway, campus, await campus.course(2))
    await damage.certified()
    await lost_events(damage)
    await broken_documents(damage)

    found = await lesson_progress(system, "audit", "--json")
    report = tmp_path / "audit.json"
    repaired = await lesson_progress(system, "audit", "--repair", "--yes", "--json", "--report", str(report))
    again = await lesson_progress(system, "audit", "--json")

    expected = {key: named for key, named in damage.expected.items() if named}
    assert found.code == 1
    assert "audit --repair" in found.err
    assert kinds(found.json) == kinds(repaired.json) == expected
    assert repaired.code == 0, repaired.err
    written = json.loads(report.read_text())
    assert (written["differences"], written["left"]) == (repaired.json, [])
    assert written["sent"] == {RECALCULATE: 8, GENERATE: 3}
    assert (again.code, again.json) == (0, [])
    for learner in damage.learners:
        await everything_once(damage, learner)


async def test_a_certificate_that_failed_for_a_cause_that_stands_is_listed_and_left(
    gateway: Gateway, campus: Campus, system: System
) -> None:
    damage = Damage(gateway, campus, await campus.course(1))
    learner = await damage.learner(lessons=1, name="\U00013080")

    async def failed() -> bool:
        return [c["status"] for c in await campus.certificates(learner)] == ["failed"]

    await eventually(failed, within=60)
    left = await lesson_progress(system, "audit", "--repair", "--json")
    [untouched] = await campus.certificates(learner)
    await campus.db["users"].update_one({"_id": learner.user_id}, {"$set": {"name": "Maat"}})
    healed = await lesson_progress(system, "audit", "--repair", "--json")

    assert left.code == 1
    assert "1 difference left that no command heals before the cause is mended (glyph_missing)" in left.err
    assert kinds(left.json)[learner.enrollment_id] == {("certificate_failed", None)}
    assert untouched["attempts"] == 1
    assert healed.code == 0, healed.err
    await everything_once(damage, learner)


async def test_recalculating_one_enrollment_mends_that_one_alone(
    gateway: Gateway, campus: Campus, system: System
) -> None:
    damage = Damage(gateway, campus, await campus.course(4))
    broken, other = [await damage.learner(lessons=1) for _ in range(2)]
    for learner in (broken, other):
        await damage.set("enrollments", learner, progressPercent=1.5)

    one = await lesson_progress(system, "recalculate", broken.enrollment_id, "--json")
    found = await lesson_progress(system, "audit", "--json")
    sent = await lesson_progress(system, "audit", "--repair", "--no-wait")

    assert one.json["data"]["progressPercent"] == 25
    assert kinds(found.json) == {other.enrollment_id: {("percentage", RECALCULATE)}}
    assert sent.code == 0
    assert "1 commands sent" in sent.out

    async def mended() -> bool:
        return bool((await campus.enrollment(other))["progressPercent"] == 25)

    await eventually(mended, within=60)


async def test_the_audit_in_the_background_shows_drift_until_it_is_healed(
    gateway: Gateway, campus: Campus, system: System
) -> None:
    damage = Damage(gateway, campus, await campus.course(4))
    learner = await damage.learner(lessons=1)

    async def shown() -> float:
        return await gateway.metric("recalculator", "lesson_progress_drift_enrollments")

    async def healthy() -> bool:
        return await shown() == 0

    await damage.set("enrollments", learner, progressPercent=1.5)
    await eventually(shown, within=60)
    await system.stack.stop_service("recalculator")
    await system.stack.start_service("recalculator")
    await eventually(shown, within=60)

    repaired = await lesson_progress(system, "audit", "--repair")

    assert repaired.code == 0, repaired.err
    await eventually(healthy, within=60)
