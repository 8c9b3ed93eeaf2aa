"""Rows 8 to 10: a service loses its partitions while a write of its is on the way."""

import asyncio
import signal

from tests.faults.proxy.mongo_wire import DURABLE
from tests.faults.proxy.traps import REQUEST, Fate, first_caught
from tests.faults.rows.catalog import Row
from tests.faults.rows.commits import Commits, nothing_set_back
from tests.faults.rows.lane import PATIENT_DATABASE
from tests.faults.rows.run import Run
from tests.faults.rows.stages import STAGES, Stage
from tests.support.eventually import eventually

#: `max.poll.interval.ms` of the consumers, and a little, in seconds.
_POLL_SECONDS = 600 + 20
#: How many instances of a service share its partitions, at most.
_INSTANCES = 7


async def rebalance_in_mid_handler(run: Run) -> None:
    """The assignor is sticky and moves topics in the order of their names: of two instances one has what counts."""
    stage, world = run.turn(STAGES), await run.world(learners=12, lessons=2, finishers=12)
    instances = (stage.service, f"{stage.service}-2")
    await run.lane.start(stage.service, instance=instances[1])
    commits = [Commits(run.broker_of(name), stage.takes) for name in instances]
    collection = run.chance.choice(stage.writes)
    held = {name: run.database_of(name).hold_request(DURABLE, collection) for name in instances}
    await world.send()
    victim = await first_caught(held)
    for name in instances:
        if name != victim:
            held[name].let_pass()

    taken_over = await _others_take_over(run, stage)
    held[victim].let_pass()

    await world.settled()
    nothing_set_back(*commits, *taken_over)


async def _others_take_over(run: Run, stage: Stage) -> list[Commits]:
    """Let so many instances join at once that each has one partition, until one has committed what waited elsewhere.

    One after the other they would come too late: a write that is held is given up and repeated after 20 s.
    """
    others = [f"{stage.service}-{number}" for number in range(3, _INSTANCES + 1)]
    taken_over = [Commits((await run.lane.linked(other)).broker, stage.takes) for other in others]
    await asyncio.gather(*(run.lane.start(stage.service, instance=other) for other in others))
    await eventually(lambda: any(commits.count for commits in taken_over), within=15)
    return taken_over


async def frozen_past_the_session(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world(learners=12, lessons=2, finishers=12)
    instances = (stage.service, f"{stage.service}-2")
    await run.lane.start(stage.service, instance=instances[1])
    commits = {name: Commits(run.broker_of(name), stage.takes) for name in instances}
    collection = run.chance.choice(stage.writes)
    held = {name: run.database_of(name).hold_request(DURABLE, collection) for name in instances}
    await world.send()
    victim = await first_caught(held)
    for name in instances:
        if name != victim:
            held[name].let_pass()

    run.lane.system.stack.signal(victim, signal.SIGSTOP)
    try:
        await run.lane.drained()
        before = commits[victim].count
    finally:
        joined = run.broker_of(victim).trap(REQUEST, "JoinGroup", then=Fate.PASSED)
        run.lane.system.stack.signal(victim, signal.SIGCONT)
    await asyncio.sleep(run.chance.uniform(0, 1))
    held[victim].let_pass()

    await joined.until_caught()
    await world.settled()
    # It waits for its batch before it gives its partitions up, and commits what that has finished.
    late = commits[victim].since(before)
    assert late, "what the thawed service had in hand was not committed, so nothing could be refused"
    accepted = [commit for commit in late if not commit.refused]
    assert not accepted, f"a commit of before the freeze was accepted: {accepted}"
    nothing_set_back(*commits.values())


async def longer_than_the_poll_interval(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world()
    await run.restart(stage.service, PATIENT_DATABASE)
    broker = run.broker_of(stage.service)
    left = broker.trap(REQUEST, "LeaveGroup", then=Fate.PASSED, times=None)
    joined = broker.trap(REQUEST, "JoinGroup", then=Fate.PASSED, times=None)
    held = run.database_of(stage.service).hold_answer(DURABLE, run.chance.choice(stage.writes))
    await world.send()
    await held.until_caught()

    await left.until_caught(within=_POLL_SECONDS)
    before = len(joined.caught)
    held.let_pass()

    await joined.until_caught(before + 1, within=60)
    await world.settled()


ROWS = (
    Row(
        8,
        "rebalance in mid-handler",
        "a write of one of two instances is held, a third joins, takes partitions over and commits; then the write "
        "arrives; the seeds take the three services in turn",
        "the late write does nothing, and no late commit sets back what the other committed",
        rebalance_in_mid_handler,
    ),
    Row(
        9,
        "frozen past the session time-out, then thawed",
        "a write is held, the service frozen (SIGSTOP) until a second instance has taken over and finished everything; "
        "it is thawed, and the write arrives; the session time-out is 6 s",
        "the late write does nothing, every late commit is refused, and the service joins again",
        frozen_past_the_session,
    ),
    Row(
        10,
        "handler longer than the poll interval",
        "the answer to a write is held for more than the 10 minutes of the poll interval, with a database time-out "
        "that outlasts it",
        "the service leaves the group, and joins again when the answer has come",
        longer_than_the_poll_interval,
        quick=False,
        waits=True,
    ),
)
