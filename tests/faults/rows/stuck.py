"""Rows 32 to 34 and 36: crashes in rendering and in mailing, a blocked loop, a consumer that is stuck."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.faults.proxy.mongo_wire import DURABLE
from tests.faults.proxy.traps import REQUEST
from tests.faults.rows.catalog import Row
from tests.faults.rows.deployed import deploy
from tests.faults.rows.lane import PATIENT_DATABASE
from tests.faults.rows.mailbox import Mailbox
from tests.faults.rows.run import Run
from tests.faults.rows.stages import STAGES
from tests.support.eventually import eventually
from tests.support.programs import programs_in

_BLOCKED_SECONDS, _SHORT_BLOCK_SECONDS = 15.0, 8.0
#: A batch that has run for five minutes is stuck, and a little.
_STUCK_SECONDS = 300 + 60


async def crash_in_rendering(run: Run) -> None:
    world = await run.world()
    workers = list(_typesetters(run))
    assert workers, "certificates has no process that typesets"
    victim = run.turn(("worker", "service"))
    try:
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        claimed = run.database_of("certificates").hold_answer(DURABLE, "certificates")
        await world.send()
        await claimed.until_caught(within=60)
        claimed.let_pass()
        await eventually(lambda: _pending(run, world.course.id), within=30)
        if victim == "service":
            run.lane.kill("certificates")
    finally:  # frozen, they would outlive the stack
        for worker in workers:
            _end(worker)
    if victim == "service":
        await run.lane.start("certificates")

    await world.settled()


def _typesetters(run: Run) -> Iterator[int]:
    """The process numbers of the workers of certificates."""
    programs = programs_in(run.lane.system.stack.directory)
    [parent] = [number for number, command in programs.items() if command.endswith("services.certificates")]
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = status.read_text().splitlines()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if f"PPid:\t{parent}" in lines and b"spawn_main" in command:
            yield int(status.parent.name)


def _end(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended with the service


async def _pending(run: Run, course_id: str) -> bool:
    return bool(await run.campus.db["certificates"].count_documents({"courseId": course_id, "status": "pending"}))


async def crash_in_mailing(run: Run) -> None:
    world = await run.world(learners=2, lessons=1, finishers=2)
    async with Mailbox() as mailbox:
        await run.restart("certificates", mailbox.settings)
        noted = run.database_of("certificates").trap(REQUEST, DURABLE, "notifications", containing=b"emailedAt")
        await world.send()
        await noted.until_caught(within=60)
        run.lane.kill("certificates")
        noted.lose()
        # An e-mail is one replica's for five minutes; they are over.
        await run.campus.db["notifications"].update_many(
            {"userId": {"$in": [learner.user_id for learner in world.learners]}, "emailDue": {"$exists": True}},
            {"$set": {"emailDue": 0}},
        )
        await run.lane.start("certificates", environment=mailbox.settings)

        await eventually(lambda: len(mailbox.to(world.learners)) >= 1 + len(world.finished()), within=60)
        await world.settled()
    received = mailbox.to(world.learners)
    ids = {message["Message-ID"] for message in received}
    assert len(ids) == len(world.finished()), f"{len(received)} e-mails have {len(ids)} ids"


async def event_loop_blocked(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world()
    seconds = _SHORT_BLOCK_SECONDS if run.quick else _BLOCKED_SECONDS
    await run.restart(stage.service, deploy("blocking", stage.service, seconds=seconds))
    await world.send()

    await eventually(lambda: _silent(run, stage.service), within=60)
    await eventually(lambda: _answers(run, stage.service), within=seconds + 30)

    await world.settled()


async def _silent(run: Run, service: str) -> bool:
    try:
        await run.gateway.http.get(run.lane.system.stack.http_url(service) + "/metrics", timeout=1.5)
    except httpx.TimeoutException:
        return True
    return False


async def _answers(run: Run, service: str) -> bool:
    return not await _silent(run, service)


async def consumer_stuck(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world()
    await run.restart(stage.service, PATIENT_DATABASE)
    held = run.database_of(stage.service).hold_answer(DURABLE, run.chance.choice(stage.writes))
    await world.send()
    await held.until_caught(within=60)
    assert (await run.gateway.get(stage.service, "/health/live")).status_code == 200

    await eventually(lambda: _not_live(run, stage.service), within=_STUCK_SECONDS)
    run.lane.kill(stage.service)  # as an orchestrator does with what is not live
    held.lose()
    await run.lane.start(stage.service)

    await world.settled()


async def _not_live(run: Run, service: str) -> bool:
    await asyncio.sleep(1)
    return (await run.gateway.get(service, "/health/live")).status_code == 503


_TURN = "the seeds take the three services in turn"
ROWS = (
    Row(
        32,
        "crash in rendering",
        "the processes that typeset are frozen while certificates are claimed; then they, or the service and they, are "
        "killed, by the seed",
        "one certificate",
        crash_in_rendering,
    ),
    Row(
        33,
        "mail accepted, crash before noting it",
        "a mail server accepts, the note of it is held on its way to the database and lost with the kill; the five "
        "minutes for which an e-mail is one replica's are taken away from its document",
        "a second copy, with the same Message-ID",
        crash_in_mailing,
    ),
    Row(
        34,
        "event loop blocked 15 s",
        f"a deploy whose first batch blocks for 15 s (8 in the quick run), longer than the session time-out; {_TURN}",
        "its metrics do not answer, which is what the alert about a service that is down goes by; nothing is lost",
        event_loop_blocked,
    ),
    Row(
        36,
        "consumer stuck without a word",
        f"the answer to a write is held for longer than five minutes, and the clients wait for it; {_TURN}",
        "liveness fails; killed and started again as an orchestrator does, it goes on",
        consumer_stuck,
        quick=False,
        waits=True,
    ),
)
