"""A database, or a broker, that was restored to an earlier moment: the documented steps, to a healthy end."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ops.offsets import GroupOffsets
from ops.stacks import SERVICES, StackKind
from shared.contracts.topics import (
    COURSE_COMPLETED,
    ENROLLMENT_PROGRESSED,
    LESSON_COMPLETED,
    NOTIFICATION_CREATED,
    TOPICS,
)
from shared.verification import Defect
from tests.support.command_line import Ended, lesson_progress
from tests.support.eventually import eventually
from tests.support.system import System, running_system

pytestmark = pytest.mark.real

#: What a backup of the database holds of learning.
_LEARNT = ("lessonProgress", "enrollments", "certificates", "notifications", "fs.files", "fs.chunks")


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running_system(StackKind.KAFKA) as running:
        yield running


async def _documents(system: System) -> dict[str, list[Mapping[str, Any]]]:
    db = system.campus.db
    return {name: await db[name].find({}).sort("_id", 1).to_list(None) for name in _LEARNT}


async def _restore(system: System, backup: Mapping[str, list[Mapping[str, Any]]]) -> None:
    for name, documents in backup.items():
        await system.campus.db[name].delete_many({})
        if documents:
            await system.campus.db[name].insert_many(documents)


async def _stopped(system: System, *services: str) -> None:
    await asyncio.gather(*(system.stack.stop_service(name) for name in services))


async def _started(system: System, *services: str) -> None:
    await asyncio.gather(*(system.stack.start_service(name) for name in services))


async def _finished(system: System, *services: str) -> None:
    """Wait until the lag of these services, or of all, is 0."""
    async with GroupOffsets(system.target) as offsets:

        async def nothing_is_left() -> bool:
            return not any([await offsets.behind(service) for service in services or SERVICES])

        await eventually(nothing_is_left, within=60)


async def _typed(system: System, *arguments: str) -> Ended:
    """Run a command that does what it is asked."""
    ended = await lesson_progress(system, *arguments)
    assert ended.code == 0, ended.err + ended.out
    return ended


def _logs(system: System) -> Iterator[Path]:
    """The files in which the broker keeps the records of our topics."""
    for topic in TOPICS:
        yield from (system.stack.directory / "broker" / "data").glob(f"{topic}-*/*.log")


async def _broker_restored(system: System, snapshot: Mapping[Path, int]) -> None:
    """Give the broker its topics' files as they were, but not those in which it keeps what is committed."""
    system.stack.kill_part("broker")
    for log, size in snapshot.items():
        os.truncate(log, size)
        for derived in {*log.parent.glob("*.*index"), *log.parent.glob("*.snapshot")}:
            derived.unlink()
    await system.stack.start_part("broker")


async def test_a_restored_database_gets_back_what_it_lacks_a_command_that_waited_at_its_backup_included(
    system: System,
) -> None:
    gateway, course = system.gateway, await system.campus.course(2)
    certified, waiting, unhandled = [await system.campus.learner(course) for _ in range(3)]
    await gateway.complete(certified.user_id, course.lessons[0])
    await gateway.progressed(certified.enrollment_id, completed=1)
    await _stopped(system, "progress")
    waited = await gateway.command(
        "lesson.complete.v1", {"lessonId": course.lessons[0]}, token=gateway.token(waiting.user_id), key=waiting.user_id
    )
    backup, moment = await _documents(system), datetime.now(UTC).isoformat()
    await _started(system, "progress")
    await gateway.reply(waited)
    await gateway.complete(certified.user_id, course.lessons[1])
    certificate = await gateway.certificate(certified.enrollment_id)
    await _finished(system)
    await _stopped(system, "certificates")
    for lesson in course.lessons:
        await gateway.complete(unhandled.user_id, lesson)
    await gateway.wait_for(COURSE_COMPLETED, lambda s: s.key == unhandled.enrollment_id.encode())
    records = (await _documents(system))["lessonProgress"]
    await _stopped(system, "progress", "recalculator")
    await _restore(system, backup)

    since = await _typed(system, "rewind", "progress", "--to", moment)
    planned = await _typed(system, "rewind", "progress")
    for service in ("progress", "recalculator"):
        await _typed(system, "rewind", service, "--yes")
    asked = await _typed(system, "certificates", "restore", "--since", moment, "--yes")
    await _started(system, "certificates")
    await _finished(system, "certificates")
    await _stopped(system, "certificates")
    await _typed(system, "rewind", "certificates", "--yes")
    await _started(system, *SERVICES)
    await _finished(system)

    assert "progress would handle 3 records again; repeat with --yes to do it." in since.out
    assert "progress would handle 5 records again; repeat with --yes to do it." in planned.out
    assert "1 certificate asked for" in asked.out
    assert (await _documents(system))["lessonProgress"] == records
    [restored] = await system.campus.certificates(certified)
    assert (restored["_id"], restored["issuedAt"]) == (certificate["certificateId"], certificate["issuedAt"])
    copies = gateway.seen(LESSON_COMPLETED, lambda s: s.key == certified.enrollment_id.encode())
    assert len({(s.headers["ce_id"], s.headers["ce_time"], s.raw) for s in copies}) == 2
    await _typed(
        system, "dead-letters", "replay", "--service", "certificates", "--error", "EnrollmentNotCompleted", "--yes"
    )
    await _typed(system, "audit", "--repair")
    await _finished(system)
    assert [one["status"] for one in await system.campus.certificates(unhandled)] == ["issued"]
    verified = (await lesson_progress(system, "verify", "--settled", "--json")).json["defects"]
    assert [one for one in verified["listed"] if not _was_published_before(one)] == []
    assert verified["total"] == len(verified["listed"])


def _was_published_before(defect: Mapping[str, str]) -> bool:
    """Whether it is a notification's moment, or a revision, from before the restore; everything else is a fault."""
    kinds = {Defect.EVENT_ID_REUSED, Defect.EVENT_CONTRADICTS_FACT, Defect.EVENT_WITHOUT_FACT}
    return defect["kind"] in kinds and defect["subject"].split(":")[0] in {NOTIFICATION_CREATED, ENROLLMENT_PROGRESSED}


async def test_a_topic_that_lost_records_and_grew_past_what_was_committed_loses_no_more(system: System) -> None:
    gateway, course = system.gateway, await system.campus.course(4)
    learner = await system.campus.learner(course)
    await gateway.complete(learner.user_id, course.lessons[0])
    await _finished(system)
    snapshot = {log: log.stat().st_size for log in _logs(system)}
    await gateway.complete(learner.user_id, course.lessons[0])
    await _finished(system)
    await _stopped(system, *SERVICES)
    await _broker_restored(system, snapshot)

    trapped = await _typed(system, "rewind", "progress", "--to", datetime.now(UTC).isoformat())
    for lesson in course.lessons[1:]:
        token = gateway.token(learner.user_id)
        await gateway.command("lesson.complete.v1", {"lessonId": lesson}, token=token, key=learner.user_id)
    for service in SERVICES:
        await _typed(system, "rewind", service, "--events", "--yes")
    await _started(system, *SERVICES)
    await _finished(system)

    assert "2 is committed, which is beyond its end" in trapped.out
    assert {record["lessonId"] for record in await system.campus.records(learner)} == set(course.lessons)
    await _typed(system, "audit", "--repair")
    await _finished(system)
    assert [one["status"] for one in await system.campus.certificates(learner)] == ["issued"]
    await _typed(system, "verify", "--settled")


async def test_a_service_that_is_running_is_not_rewound(system: System) -> None:
    refused = await lesson_progress(system, "rewind", "progress", "--to", "2026-01-31T03:00:00Z", "--yes")

    assert refused.code == 1
    assert "progress is running (1 in its group): stop every replica of it first" in refused.err


async def test_a_moment_without_its_zone_and_an_unknown_service_are_refused_in_one_sentence() -> None:
    vague = await lesson_progress(None, "rewind", "progress", "--to", "2026-01-31 03:00")
    unknown = await lesson_progress(None, "rewind", "web", "--to", "2026-01-31T03:00:00Z")

    assert (vague.code, unknown.code) == (1, 1)
    assert "'2026-01-31 03:00' is no moment; write it with its zone, as 2026-01-31T03:00:00Z" in vague.err
    assert "there is no service 'web'; there are progress, recalculator, certificates" in unknown.err
