"""Rows 23 to 25 and 28: the topic of dead letters is away, a crash beside a dead letter, a bug, and a replay twice."""

import asyncio

from shared.contracts import topics
from tests.faults.proxy.kafka_wire import committed
from tests.faults.proxy.traps import ANSWER, REQUEST, Fate
from tests.faults.rows.catalog import Row
from tests.faults.rows.commits import Commits
from tests.faults.rows.deployed import deploy
from tests.faults.rows.poison import buried, letters, position, strew, values
from tests.faults.rows.replays import replayed
from tests.faults.rows.run import Run
from tests.faults.rows.stages import PROGRESS, RECALCULATOR, STAGES, upstream_of
from tests.support.eventually import eventually

#: A breaker opens when more than so many died in a row.
_DEATHS = 20


async def letters_topic_away(run: Run) -> None:
    stage, world, poison = run.turn(STAGES), await run.world(), values(run, run.turn(STAGES))[:1]
    link, letters_topic = run.broker_of(stage.service), topics.dead_letters_of(stage.service)
    commits = Commits(link, stage.takes)
    side = run.chance.choice((REQUEST, ANSWER))
    lost = link.trap(side, "Produce", letters_topic, then=Fate.LOST, times=None)
    await strew(run, stage, poison)
    await lost.until_caught()
    await world.send()
    await asyncio.sleep(run.chance.uniform(1, 4))
    before = commits.since()
    lost.let_pass()

    await eventually(lambda: bool(letters(run, stage, poison[0])), within=60)
    topic, partition, offset = (part.decode() for part in position(letters(run, stage, poison[0])[0]) if part)
    place = (topic, int(partition))
    reached = [commit.offsets[place] for commit in before if place in commit.offsets and not commit.refused]
    assert all(at <= int(offset) for at in reached), f"{place} was committed to {reached}, the letter is of {offset}"
    await world.settled()
    await buried(run, stage, poison, copies=len(letters(run, stage, poison[0])))


async def crash_after_the_letter(run: Run) -> None:
    stage, world, poison = run.turn(STAGES), await run.world(), values(run, run.turn(STAGES))[:1]
    commits = run.broker_of(stage.service).trap(REQUEST, "OffsetCommit", stage.takes, times=None)
    await strew(run, stage, poison)
    await buried(run, stage, poison)
    [letter] = letters(run, stage, poison[0])
    topic, partition, offset = (part.decode() for part in position(letter) if part)
    await eventually(
        lambda: any(committed(c.request).get((topic, int(partition)), 0) > int(offset) for c in commits.caught),
        within=30,
    )

    run.lane.kill(stage.service)
    commits.lose()
    await run.lane.start(stage.service)

    await buried(run, stage, poison, copies=2)
    await world.send()
    await world.settled()


async def a_bug_fails_every_record(run: Run) -> None:
    stage = run.turn((PROGRESS, RECALCULATOR))
    world = await run.world(learners=1, lessons=_DEATHS + run.chance.randint(5, 15), finishers=1, doubled=0)
    await run.restart(stage.service, deploy("broken", stage.service))
    await world.send()

    await eventually(lambda: _stopped(run, stage.service), within=90)
    await eventually(lambda: _shown(run, stage.service), within=10)
    assert (await run.gateway.get(stage.service, "/health/live")).status_code == 200, "it can no longer be looked at"

    await run.restart(stage.service)
    await run.lane.drained([stage.service])
    found = await world.all_letters(stage.service)
    in_a_row = [letter for letter in found if world.concerns(letter)]
    assert len(in_a_row) <= _DEATHS, f"{len(in_a_row)} records in a row were buried before, or although, it opened"
    if found:
        await replayed(run, stage.service, found)
    world.dead_letters = len(found)
    await world.settled()


async def _stopped(run: Run, service: str) -> bool:
    ready = await run.gateway.get(service, "/health/ready")
    return ready.status_code == 503 and "BreakerOpen" in ready.text


async def _shown(run: Run, service: str) -> bool:
    return await run.gateway.metric(service, "lesson_progress_breaker_open") == 1


async def replayed_twice(run: Run) -> None:
    stage = run.turn(STAGES)
    world = await run.world(learners=2, lessons=2, finishers=2, doubled=0)
    await run.restart(stage.service, deploy("broken", stage.service))
    await world.send()
    await eventually(lambda: bool(world.letters(stage.service)), within=90)
    await run.lane.drained([*upstream_of(stage), stage.service])
    await run.restart(stage.service)
    await run.lane.drained()
    found = await world.all_letters(stage.service)
    assert {letter.headers["x-dead-letter-error"] for letter in found} == {b"ZeroDivisionError"}
    assert {letter.headers["x-dead-letter-attempts"] for letter in found} == {b"5"}

    await replayed(run, stage.service, found)
    world.dead_letters = len(found)
    await world.settled()
    before = await world.documents()
    await replayed(run, stage.service, found)

    await world.settled()
    assert await world.documents() == before, "a second replay changed something"


_TURN = "the seeds take the three services in turn"
ROWS = (
    Row(
        23,
        "dead-letter topic away",
        f"what is published to it is lost on its way, or its acknowledgement is, for one to four seconds; {_TURN}",
        "the offset waits; afterwards every dead letter of the record has the same position",
        letters_topic_away,
    ),
    Row(
        24,
        "crash after the dead letter, before the commit",
        f"the dead letter is there, the commit of its offset is held until the kill and lost; {_TURN}",
        "a second copy, byte for byte, with the same position",
        crash_after_the_letter,
    ),
    Row(
        25,
        "a bug fails every record",
        "a deploy whose use case raises, and more records on one partition than may die in a row; the seeds take "
        "progress and the recalculator in turn",
        "the breaker stops it after at most 20 dead letters, not ready and alive; rolled back and replayed, everything "
        "has its effect",
        a_bug_fails_every_record,
    ),
    Row(
        28,
        "the same dead letter replayed twice",
        f"a deploy whose use case raises, rolled back; the operator's command replays the dead letters, twice; {_TURN}",
        "five attempts each; the first replay has the effect, the second none",
        replayed_twice,
    ),
)
