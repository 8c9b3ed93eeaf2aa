"""Rows 15 to 17: the broker is away, loses an acknowledgement, or another one becomes the group's coordinator."""

import asyncio
from collections.abc import Mapping

from shared.contracts import topics
from shared.contracts.ids import progress_id
from tests.faults.proxy.kafka_wire import COORDINATOR_LOADING, NOT_COORDINATOR, committed, refused_with
from tests.faults.proxy.traps import ANSWER, Fate
from tests.faults.rows.catalog import Row
from tests.faults.rows.commits import Commits, Partition
from tests.faults.rows.order import Order, Place, in_order
from tests.faults.rows.outages import MODES, away, wait_out
from tests.faults.rows.run import Run
from tests.faults.rows.stages import STAGES
from tests.faults.rows.world import Command, World
from tests.support.eventually import eventually

#: Longer than the client repeats a request by itself (20 s).
_BEYOND_THE_CLIENT = 25.0


async def away_for_ten_minutes(run: Run) -> None:
    world = await run.world(learners=6, lessons=4)
    link = run.broker_of("progress")
    order = Order(link, takes=topics.PROGRESS_COMMANDS, publishes=topics.LESSON_COMPLETED)
    held = link.hold_request("Produce", topics.LESSON_COMPLETED)
    commands = list(world.plan)
    sent = await world.send()
    await held.until_caught()

    async with away(run, "broker", run.turn(MODES)):
        held.lose()
        await wait_out(run)
        for service in ("progress", "recalculator", "certificates"):
            assert (await run.gateway.get(service, "/health/ready")).status_code == 503, f"{service} says it is ready"

    await world.settled()
    in_order(order.asked(), order.published(), _follows(run, world, dict(zip(sent, commands, strict=True))))


def _follows(run: Run, world: World, commands: Mapping[str, Command]) -> dict[Place, bytes]:
    """The id of the event that follows from each of these commands, by the command's place; none from a rejection."""
    events = {seen.data["progressId"]: seen.headers["ce_id"] or b"" for seen in world.events(topics.LESSON_COMPLETED)}
    follows: dict[Place, bytes] = {}
    for correlation, (learner, lesson) in commands.items():
        if learner is not world.stranger:
            topic, partition, offset = run.gateway.placed[correlation]
            follows[(topic, partition), offset] = events[progress_id(learner.user_id, lesson)]
    return follows


async def acknowledgement_lost(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world(learners=6, lessons=1, finishers=6, doubled=0)
    # Every record leads to an event of its own on this topic, so that none may be committed: there is no rejection, and
    # no second record of an enrollment, whose events the recalculator publishes with the other one.
    topic, world.plan = stage.publishes[0], [command for command in world.plan if command[0] is not world.stranger]
    link = run.broker_of(stage.service)
    commits = Commits(link, stage.takes)
    lost = link.trap(ANSWER, "Produce", topic, then=Fate.LOST, times=None)
    before = await commits.caught_up()
    await world.send()

    await lost.until_caught()
    await asyncio.sleep(run.chance.uniform(0, 2) if run.quick else _BEYOND_THE_CLIENT)
    assert commits.count == before, "something was committed, though its event was not acknowledged"
    lost.let_pass()

    await world.settled()
    assert world.repeated(topic), f"nothing on {topic} was published again"


async def coordinator_moves(run: Run) -> None:
    stage, mode = run.turn(STAGES), run.turn(("told", "loading", "gone"))
    world = await run.world()
    link = run.broker_of(stage.service)
    if mode == "gone":
        caught = link.hold_request("OffsetCommit", stage.takes)
    else:
        code = NOT_COORDINATOR if mode == "told" else COORDINATOR_LOADING
        times = run.chance.randint(1, 3)
        caught = link.trap(ANSWER, "OffsetCommit", stage.takes, then=refused_with(code), times=times)
    commits = Commits(link, stage.takes)
    await world.send()
    await caught.until_caught()
    if mode == "gone":
        run.lane.kill_part("broker")
        caught.lose()
        await run.lane.start_part("broker")

    await world.settled()
    wanted = committed(caught.caught[0].request)
    # What the link refused was committed all the same: the group may be where it should be before anything is repeated.
    await eventually(lambda: _repeated(commits, wanted), within=30)


def _repeated(commits: Commits, wanted: Mapping[Partition, int]) -> bool:
    """Whether all of this was committed once more, and accepted."""
    reached: dict[Partition, int] = {}
    for commit in commits.since():
        if not commit.refused:
            reached |= commit.offsets
    return all(reached.get(partition, 0) >= offset for partition, offset in wanted.items())


ROWS = (
    Row(
        15,
        "broker away 10 min",
        "while an event is on its way the broker is killed and started again, frozen, or cut off from the services, by "
        "the seed",
        "no service says it is ready; nothing is committed before the event is acknowledged; it has the same id",
        away_for_ten_minutes,
        waits=True,
    ),
    Row(
        16,
        "the publish's answer lost",
        "the broker has the events, its acknowledgement is swallowed and the connection ends, again and again, for "
        "longer than the client repeats by itself (a moment in the quick run); the seeds take the three services in "
        "turn",
        "nothing is committed before an acknowledgement arrives; what comes out again has the same id and bytes",
        acknowledgement_lost,
    ),
    Row(
        17,
        "the coordinator moves during a commit",
        "one broker has nobody to move to: the answer to a commit says that the coordinator is elsewhere (16) or still "
        "loading (14), or the broker is killed with a commit on its way and started again, by the seed",
        "the commit is repeated",
        coordinator_moves,
    ),
)
