"""A database that was restored to an earlier moment: what came since is handled again, and is the same as before."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from ops.stacks import SERVICES, StackKind
from tests.support.command_line import lesson_progress
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


async def test_commands_taken_since_a_restored_backup_are_handled_again_into_the_same_records(system: System) -> None:
    course = await system.campus.course(2)
    learner = await system.campus.learner(course)
    await system.gateway.complete(learner.user_id, course.lessons[0])
    await system.gateway.progressed(learner.enrollment_id, completed=1)
    backup, moment = await _documents(system), datetime.now(UTC).isoformat()
    await system.gateway.complete(learner.user_id, course.lessons[1])
    certificate = await system.gateway.certificate(learner.enrollment_id)
    records = (await _documents(system))["lessonProgress"]
    await _stopped(system, *SERVICES)
    await _restore(system, backup)

    planned = await lesson_progress(system, "rewind", "progress", "--to", moment)
    done = await lesson_progress(system, "rewind", "progress", "--to", moment, "--yes", "--json")

    assert planned.code == done.code == 0, planned.err + done.err
    assert "progress would handle 1 record again; repeat with --yes to do it." in planned.err
    assert [step["from_offset"] - step["to_offset"] for step in json.loads(done.out)["partitions"]] == [1]

    asked = await lesson_progress(system, "certificates", "restore", "--since", moment, "--yes")
    assert (asked.code, "1 certificate asked for" in asked.err) == (0, True), asked.err
    await system.stack.start_service("certificates")
    await eventually(lambda: _has(system, "certificates", 1), within=60)
    await asyncio.gather(*(system.stack.start_service(name) for name in ("progress", "recalculator")))
    await eventually(lambda: _has(system, "lessonProgress", 2), within=60)
    assert (await _documents(system))["lessonProgress"] == records
    await eventually(lambda: _has(system, "certificates", 1, status="issued"), within=60)
    [restored] = (await _documents(system))["certificates"]
    assert (restored["_id"], restored["issuedAt"]) == (certificate["certificateId"], certificate["issuedAt"])
    copies = system.gateway.seen("lesson.completed", lambda s: s.key == learner.enrollment_id.encode())
    assert len({(s.headers["ce_id"], s.headers["ce_time"], s.raw) for s in copies}) == 2


async def _has(system: System, collection: str, count: int, **where: Any) -> bool:
    return bool(await system.campus.db[collection].count_documents(where) == count)


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
