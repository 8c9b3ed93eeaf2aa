"""Rows 29, 30, 35 and 37: offsets, partitions, clocks and reply topics are not what they were."""

import json
import secrets
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from email.utils import parsedate_to_datetime

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from ops.offsets import GroupOffsets
from ops.stacks import SERVICES
from shared.contracts import topics
from tests.faults.proxy.traps import REQUEST, Fate
from tests.faults.rows.catalog import Row
from tests.faults.rows.deployed import deploy
from tests.faults.rows.run import Run
from tests.faults.rows.stages import PROGRESS, STAGES
from tests.faults.rows.world import World
from tests.support.eventually import eventually

#: The consumers look for new partitions every 30 s.
_NOTICED_SECONDS = 90.0


async def offsets_reset(run: Run) -> None:
    world = await run.world()
    await world.send()
    await world.settled()
    before, stage = await world.documents(), run.turn(STAGES)
    topic = stage.publishes[-1]
    copies = len(world.events(topic))
    await run.lane.stop(stage.service)
    await _to_the_beginning(run, stage.service)
    assert await run.lane.behind(stage.service) > 0, "the group did not go back"

    await run.lane.start(stage.service)

    await run.lane.drained()
    await world.settled()
    assert len(world.events(topic)) > copies, f"nothing on {topic} came out again, though it was handled again"
    assert await world.documents() == before, "what was handled once more changed something"


async def _to_the_beginning(run: Run, service: str) -> None:
    async with GroupOffsets(run.lane.system.target) as offsets:
        partitions = list(await offsets.ends(topics.consumed_by(service)))
    consumer = AIOKafkaConsumer(
        bootstrap_servers=run.lane.system.stack.bootstrap_servers, group_id=service, enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.commit(dict.fromkeys(partitions, 0))
    finally:
        await consumer.stop()


async def partitions_added(run: Run) -> None:
    stage, world = run.turn(STAGES), await run.world(learners=10, lessons=3, finishers=10)
    admin = AIOKafkaAdminClient(bootstrap_servers=run.lane.system.stack.bootstrap_servers)
    await admin.start()
    try:
        await world.send_some(len(world.plan) // 3)
        [described] = await admin.describe_topics([stage.takes])
        count = len(described["partitions"]) + run.chance.randint(1, 3)
        await admin.create_partitions({stage.takes: NewPartitions(count)})
    finally:
        await admin.close()
    await eventually(lambda: _took(run, stage.takes, count), within=30)
    if stage is PROGRESS:
        await world.send([world.plan.pop() for _ in range(3)], partition=count - 1)
    await world.send()
    await world.settled(within=_NOTICED_SECONDS + 60)

    if stage is not PROGRESS:
        topic = stage.publishes[0]
        copies = len(world.events(topic))
        copy = run.chance.choice(world.events(stage.takes))
        headers = list(copy.record.headers)
        await run.gateway.send(stage.takes, copy.raw, key=copy.key, headers=headers, partition=count - 1)
        await run.lane.drained([stage.service], within=_NOTICED_SECONDS)
        await world.settled()
        assert len(world.events(topic)) > copies, f"the copy on partition {count - 1} was committed and not handled"


async def _took(run: Run, topic: str, count: int) -> bool:
    """Whether the gateway, too, knows of so many partitions."""
    return len(await run.gateway.partitions(topic)) >= count


async def clock_backwards(run: Run) -> None:
    world = await run.world()
    await world.send_some(len(world.plan) // 2)
    await run.lane.drained(["progress"])
    service = run.turn(SERVICES)
    back = run.chance.choice((timedelta(seconds=2), timedelta(hours=1), timedelta(days=400)))
    await run.restart(service, deploy("clock", service, seconds=back.total_seconds()))
    answer = await run.gateway.get(service, "/health/live")
    shown = parsedate_to_datetime(answer.headers["date"]).timestamp()
    assert shown <= time.time() - back.total_seconds(), f"the clock of {service} was not set back"
    await world.send()

    await world.settled()
    commanded = await _commanded_at(run, world)
    for learner in world.learners:
        records = await run.campus.records(learner)
        for record in records:
            at, first = record["completedAt"], min(commanded[learner.user_id, record["lessonId"]])
            assert at == first, f"completed at {at}, and the first command for it is of {first}"
        completed_at = (await run.campus.enrollment(learner)).get("completedAt")
        last = max(record["completedAt"] for record in records)
        assert completed_at in {None, last}, "completed at another moment than the last"


async def _commanded_at(run: Run, world: World) -> Mapping[tuple[str, str], list[int]]:
    """The moments of this world's commands as they stand in the topic (epoch ms), by learner and lesson."""
    moments: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    async with run.lane.system.target.reader(topics.PROGRESS_COMMANDS) as reader:
        ends = {partition: await reader.position(partition) for partition in reader.assignment()}
        await reader.seek_to_beginning()
        while any([await reader.position(partition) < end for partition, end in ends.items()]):
            for records in (await reader.getmany(timeout_ms=500)).values():
                for record in records:
                    if record.key in {learner.user_id.encode() for learner in world.learners}:
                        lesson = json.loads(record.value)["lessonId"]
                        moments[record.key.decode(), lesson].append(record.timestamp)
    return moments


async def hostile_reply_topics(run: Run) -> None:
    world = await run.world()
    absent = f"progress.replies.{secrets.token_hex(4)}"
    hostile = [
        topics.LESSON_COMPLETED,
        "__consumer_offsets",
        absent,
        "progress.replies." + "x" * 200,
        "progress.replies/../x",
    ]
    run.chance.shuffle(hostile)
    existing = await _topics_there(run)
    tried = {
        name: run.broker_of("progress").trap(REQUEST, "Produce", name, then=Fate.PASSED, times=None)
        for name in hostile
        if name != topics.LESSON_COMPLETED
    }
    name = "lesson_progress_replies_dropped_total"
    before = sum(await run.gateway.metrics("progress", name))
    asked = await _send_with(run, world, hostile)

    await world.settled()
    await eventually(lambda: _dropped(run, name, before + len(asked)), within=30)
    await run.gateway.caught_up()
    for topic in topics.TOPICS:
        strange = run.gateway.seen(topic, lambda seen: seen.headers.get("correlation-id") in asked)
        assert not strange, f"a reply went to {topic}: {strange[0].type}"
    sent_to = {name: len(trap.caught) for name, trap in tried.items() if trap.caught}
    assert not sent_to, f"replies were sent: {sent_to}"
    assert await _topics_there(run) == existing, "a topic was made for a reply"


async def _send_with(run: Run, world: World, hostile: Sequence[str]) -> set[bytes]:
    """Send what is planned, each with one of these as its reply-to; answers the ids that replies would carry."""
    asked = set()
    for number, (learner, lesson) in enumerate(world.plan):
        if learner is not world.stranger:
            world.note(learner, lesson)
        token, reply_to = run.gateway.token(learner.user_id), hostile[number % len(hostile)]
        correlation = await run.gateway.command(
            "lesson.complete.v1", {"lessonId": lesson}, token=token, key=learner.user_id, reply_to=reply_to
        )
        asked.add(correlation.encode())
    world.plan = []
    return asked


async def _topics_there(run: Run) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=run.lane.system.stack.bootstrap_servers)
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()


async def _dropped(run: Run, name: str, count: float) -> bool:
    return sum(await run.gateway.metrics("progress", name)) >= count


_TURN = "the seeds take the three services in turn"
ROWS = (
    Row(
        29,
        "offsets reset to the beginning",
        f"the group of a stopped service is sent to the beginning of every topic it reads; {_TURN}",
        "no new effect: not a document differs, and every event has the same id and bytes",
        offsets_reset,
    ),
    Row(
        30,
        "partitions added while consuming",
        f"one to three more on the topic that a service takes from, and commands, or a copy of an event, on the "
        f"last of them; {_TURN}",
        "nothing skipped: what is on the new partition is handled and committed from its beginning",
        partitions_added,
    ),
    Row(
        35,
        "clock backwards",
        f"a service is started with its clock two seconds, an hour or 400 days back, by chance of the seed; {_TURN}",
        "a record's moment is to the millisecond that of its first command in the topic, and a course is completed at "
        "the last of them",
        clock_backwards,
    ),
    Row(
        37,
        "a hostile or absent reply-to topic",
        "commands whose reply-to is a topic of events, of the broker, absent, too long, or no name at all",
        "every reply is dropped and counted, none is on any topic that is read nor sent to any other, no topic comes "
        "into being, and everything takes its course",
        hostile_reply_topics,
    ),
)
