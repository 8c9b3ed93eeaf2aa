"""Rows 6 and 7: a service is asked to end while a write of its is on the way, for less and for more than its grace."""

import asyncio

from shared.service import GRACE_SECONDS
from tests.faults.proxy.mongo_wire import DURABLE
from tests.faults.rows.catalog import Row
from tests.faults.rows.commits import Commits
from tests.faults.rows.run import Run
from tests.faults.rows.stages import STAGES

#: Less than a service gives the records in hand, in seconds.
_SHORT = 1.5


async def shorter_than_the_grace(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world(doubled=0)
    commits = Commits(run.broker_of(stage.service), stage.takes)
    held = run.database_of(stage.service).hold_answer(DURABLE, run.chance.choice(stage.writes))
    log = run.lane.log_size(stage.service)
    await world.send()
    await held.until_caught()

    ending = asyncio.create_task(run.lane.stop(stage.service))
    await asyncio.sleep(run.chance.uniform(0.1, _SHORT))
    before = commits.count
    held.let_pass()
    code = await ending

    assert code == 0, f"{stage.service} ended with {code}"
    assert "service.cut_short" not in run.lane.logged_since(stage.service, log)
    assert commits.count > before, "what was in hand was not committed"
    assert not any(commit.refused for commit in commits.since(before))
    await run.lane.start(stage.service)
    await world.settled()
    if stage is STAGES[0]:  # of the others' events there may be several copies in any case
        assert not world.repeated(stage.publishes[0]), "what was drained came again"


async def longer_than_the_grace(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world()
    commits = Commits(run.broker_of(stage.service), stage.takes)
    held = run.database_of(stage.service).hold_request(DURABLE, run.chance.choice(stage.writes))
    log = run.lane.log_size(stage.service)
    await world.send()
    await held.until_caught()
    before = await commits.caught_up()

    code = await run.lane.stop(stage.service, seconds=GRACE_SECONDS + 5)
    run.chance.choice((held.lose, held.let_pass))()

    assert code == 0, f"{stage.service} ended with {code}, not by itself within its grace"
    assert "service.cut_short" in run.lane.logged_since(stage.service, log)
    assert commits.count == before, "a batch was committed whose write had no answer"
    await run.lane.start(stage.service)
    await world.settled()


ROWS = (
    Row(
        6,
        "SIGTERM in flight, shorter than the grace period",
        "the answer to a write is held, the service asked to end, and the answer arrives within a second and a half; "
        "the seeds take the three services in turn",
        "the service ends with 0 and cuts nothing short; what it had in hand is committed and does not come again",
        shorter_than_the_grace,
    ),
    Row(
        7,
        "SIGTERM in flight, longer than the grace period",
        "a write is held until the service is gone; then it is lost, or arrives after all",
        "the service ends by itself within its grace, commits nothing of it, and it is redelivered",
        longer_than_the_grace,
    ),
)
