"""Rows 1 to 5: a service is killed at an exact point between taking a record and committing it."""

from shared.settings import PREFIX
from tests.faults.proxy.mongo_wire import DURABLE
from tests.faults.proxy.traps import REQUEST, Trap
from tests.faults.rows.catalog import Row
from tests.faults.rows.lane import IN_TRANSACTION
from tests.faults.rows.run import Run
from tests.faults.rows.stages import CERTIFICATES, RECALCULATOR, STAGES, Stage
from tests.faults.rows.world import World

#: Before which batch, at the latest, the kill of row 5 comes; certificates write twice to their first collection.
_LATER_BATCHES = {"progress": 5, "recalculator": 2, "certificates": 1}


async def before_the_write(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world()
    collection = run.chance.choice(stage.writes)
    if stage is RECALCULATOR and not run.quick:
        # The database gives up a transaction that was left behind after a minute, and until then nothing passes it.
        await run.restart(stage.service, {IN_TRANSACTION: "true"})
    held = run.database_of(stage.service).hold_request(DURABLE, collection)
    await world.send()

    await _killed_while_held(run, stage, held)
    held.lose()

    await _again(run, stage, world)


async def after_the_write(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world()
    collection = run.chance.choice(stage.writes)
    held = run.database_of(stage.service).hold_answer(DURABLE, collection)
    await world.send()

    await _killed_while_held(run, stage, held)
    held.lose()

    await _again(run, stage, world)


async def after_the_publish(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world()
    topic = run.chance.choice(stage.publishes)
    held = run.broker_of(stage.service).hold_answer("Produce", topic)
    await world.send()

    await _killed_while_held(run, stage, held)
    held.lose()

    await _again(run, stage, world)
    assert world.repeated(topic), f"what was published to {topic} before the kill did not come out again"


async def before_the_commit(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world()
    held = run.broker_of(stage.service).hold_request("OffsetCommit", stage.takes)
    await world.send()

    await _killed_while_held(run, stage, held)
    held.lose()

    await _again(run, stage, world)
    # Every record leads to an event on the first of its topics; on the others only some do, and these need not have
    # been handled when the kill came.
    published = stage.publishes[0]
    assert world.repeated(published), f"nothing on {published} came out again, though it was not committed"


async def in_mid_batch(run: Run) -> None:
    """Small batches, no commit gets through, and the kill meets one of the later batches."""
    stage, world = run.turn(STAGES), await run.world(learners=6, lessons=4, finishers=6)
    size = run.chance.randint(1, 3)
    await run.restart(stage.service, {f"{PREFIX}{stage.service.upper()}__BATCH_SIZE": str(size)})
    commits = run.broker_of(stage.service).trap(REQUEST, "OffsetCommit", times=None)
    batches = run.chance.randint(1, _LATER_BATCHES[stage.service])
    held = run.database_of(stage.service).hold_request(
        DURABLE, stage.writes[0], after=batches * (2 if stage is CERTIFICATES else 1)
    )
    await world.send()

    await _killed_while_held(run, stage, held)
    run.chance.choice((held.lose, held.let_pass))()
    commits.lose()

    await _again(run, stage, world)
    published = stage.publishes[0]
    assert world.repeated(published), f"the finished prefix did not come out again on {published}"


async def _killed_while_held(run: Run, stage: Stage, held: Trap) -> None:
    await held.until_caught()
    run.lane.kill(stage.service)


async def _again(run: Run, stage: Stage, world: World) -> None:
    await run.lane.start(stage.service)
    await world.settled()


_WHOSE = "the seeds take the three services in turn"
_SAME = "redelivered; every copy of an event has the same id and bytes"
ROWS = (
    Row(
        1,
        "SIGKILL before the write",
        f"a write is held on its way to the database and lost with the kill, of the recalculator's bulk the end of "
        f"its transaction; {_WHOSE}",
        _SAME,
        before_the_write,
    ),
    Row(
        2,
        "SIGKILL after the write",
        f"the answer to a write that the database has made is held until the kill; {_WHOSE}",
        _SAME,
        after_the_write,
    ),
    Row(
        3,
        "SIGKILL after the publish",
        f"the acknowledgement of events that the broker has is held until the kill; {_WHOSE}",
        f"{_SAME}, and some came out twice",
        after_the_publish,
    ),
    Row(
        4,
        "SIGKILL before the commit",
        f"the commit of offsets is held on its way to the broker and lost with the kill; {_WHOSE}",
        f"{_SAME}, and some came out twice",
        before_the_commit,
    ),
    Row(
        5,
        "SIGKILL in mid-batch",
        f"batches of one to three records, every commit held, the kill meets a later batch's write; {_WHOSE}",
        "the finished prefix is repeated, with the same ids and bytes and without effect",
        in_mid_batch,
    ),
)
