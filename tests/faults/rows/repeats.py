"""Rows 18 and 19: the same commands again and again, at the same time and in any order."""

import asyncio
from math import ceil

from shared.contracts import topics
from tests.faults.rows.catalog import Row
from tests.faults.rows.run import Run
from tests.faults.rows.world import World

_COPIES = 1_000


async def a_thousand_times(run: Run) -> None:
    others = [f"progress-{number + 2}" for number in range(run.turn((0, 1, 2)))]
    await asyncio.gather(*(run.lane.start("progress", instance=other) for other in others))
    world = await run.world(learners=1, lessons=1, finishers=1, doubled=0)
    [command] = [c for c in world.plan if c[0] is not world.stranger]

    partitions = await run.gateway.partitions(topics.PROGRESS_COMMANDS)  # row 30 may have added some
    share = ceil(_COPIES / len(partitions))
    await asyncio.gather(*(world.send([command] * share, partition=number) for number in partitions))
    await world.send()

    await world.settled()
    _one_of_each(world, topics.LESSON_COMPLETED)


async def shuffled_and_doubled(run: Run) -> None:
    learners = run.chance.randint(4, 8)
    world = await run.world(learners=learners, lessons=run.chance.randint(15, 30), finishers=learners, doubled=0)
    world.plan += world.plan
    run.chance.shuffle(world.plan)

    await world.send()

    await world.settled()
    assert len(world.finished()) == learners
    _one_of_each(world, topics.COURSE_COMPLETED)


def _one_of_each(world: World, topic: str) -> None:
    """Every learner has one event id on this topic, however often it came out."""
    ids = {seen.key: identity for identity, copies in world.copies(topic).items() for seen in copies}
    assert len(world.copies(topic)) == len(ids) == len(world.learners)


ROWS = (
    Row(
        18,
        "one command 1,000 times, on several partitions, at once",
        "1,000 copies or a few more over all partitions at the same time, to one, two or three instances, by the seed",
        "one record; every copy of its event has the same id and bytes",
        a_thousand_times,
    ),
    Row(
        19,
        "all lessons shuffled and doubled",
        "four to eight learners, every lesson of a course of 15 to 30 twice, in random order",
        "100 %, one course.completed id each",
        shuffled_and_doubled,
    ),
)
