"""Rows 11 to 14: the database steps down, is away, loses an answer, or cannot promise durability in time."""

import asyncio
from functools import partial

from ops.stacks import SERVICES
from tests.faults.proxy.mongo_wire import (
    DURABLE,
    INTERRUPTED,
    NOT_PRIMARY,
    SHUTTING_DOWN,
    failed_with,
    write_concern_timeout,
)
from tests.faults.proxy.traps import ANSWER, Fate
from tests.faults.rows.catalog import Row
from tests.faults.rows.outages import MODES, away, wait_out
from tests.faults.rows.run import Run
from tests.faults.rows.stages import STAGES, Stage


async def step_down(run: Run) -> None:
    world = await run.world()
    code = run.turn((NOT_PRIMARY, INTERRUPTED, SHUTTING_DOWN))
    links = [run.database_of(service) for service in SERVICES]
    stepped = [link.trap(ANSWER, DURABLE, then=partial(failed_with, code)) for link in links]
    await world.send_some(len(world.plan) // 2)
    await stepped[0].until_caught()
    for link in links:
        link.cut()

    await world.send()
    await asyncio.sleep(run.chance.uniform(2, 8))  # an election
    assert await run.lane.behind("progress") > 0, "nothing waited for the election"
    for link in links:
        link.mend()

    await world.settled()


async def away_for_ten_minutes(run: Run) -> None:
    world = await run.world(learners=6, lessons=4)
    await world.send_some(run.chance.randint(1, len(world.plan) // 2))

    async with away(run, "database", run.turn(MODES)):
        during = await world.send()
        await wait_out(run)
        behind = await run.lane.behind("progress")
        assert behind >= len(during), f"progress is {behind} behind, though {len(during)} commands wait"
        for service in SERVICES:
            assert (await run.gateway.get(service, "/health/live")).status_code == 200, f"{service} is not live"
            assert (await run.gateway.get(service, "/health/ready")).status_code == 503, f"{service} says it is ready"

    await world.settled()


async def answer_lost(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world()
    collection, times = run.chance.choice(stage.writes), run.chance.randint(1, 3)
    fate = run.chance.choice((Fate.LOST, Fate.HALVED))
    lost = run.database_of(stage.service).trap(ANSWER, DURABLE, collection, then=fate, times=times)
    before = await _retries(run, stage)
    await world.send()

    await lost.until_caught()

    await world.settled()
    assert await _retries(run, stage) > before, "the service took the write for certain"


async def write_concern_timed_out(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world()
    collection, times = run.chance.choice(stage.writes), run.chance.randint(1, 3)
    link = run.database_of(stage.service)
    told = link.trap(ANSWER, DURABLE, collection, then=write_concern_timeout, times=times)
    before = await _retries(run, stage)
    await world.send()

    await told.until_caught()

    await world.settled()
    assert await _retries(run, stage) > before, "the service took the write for certain"


async def _retries(run: Run, stage: Stage) -> float:
    """How often records of a service were taken again because the database could not say what became of a write."""
    return await run.gateway.metric(stage.service, 'lesson_progress_retries_total{error="DatabaseAway"}')


_TURN = "the seeds take the three services in turn"
ROWS = (
    Row(
        11,
        "database step-down",
        "one server cannot step down, so the links say it: an answered write is told to have met a server that "
        "is no longer primary (10107), was interrupted (11602) or shuts down (91), by the seed; then every "
        "connection ends and none is taken for the seconds of an election",
        "no dead letters; the lag grows, then drains",
        step_down,
    ),
    Row(
        12,
        "database away 10 min",
        "killed and started again, frozen, or cut off from the services, by the seed",
        "no dead letters; every service is live and not ready; the lag grows, then drains",
        away_for_ten_minutes,
        waits=True,
    ),
    Row(
        13,
        "the write's answer lost",
        f"the database writes, the answer is swallowed or cut in half and the connection ends, up to three times; "
        f"{_TURN}",
        "repeated; one effect",
        answer_lost,
    ),
    Row(
        14,
        "write-concern time-out",
        f"the answer to a write that was made is given a writeConcernError (64), up to three times; {_TURN}",
        "repeated; one effect",
        write_concern_timed_out,
    ),
)
