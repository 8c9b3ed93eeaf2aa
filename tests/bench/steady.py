"""How long a command takes to each of its effects at a steady rate: 100 learners, one completion a second each."""

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from time import perf_counter

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from ops.platform.datasets import PlannedCompletion
from ops.platform.writing import write_platform
from ops.replay.plan import PlannedCommand
from ops.replay.watching import TOPICS, Watch
from ops.stacks import SERVICES, StackKind, start_stack
from ops.target import Target, from_environment
from shared.contracts.topics import PROGRESS_REPLIES
from tests.bench.figures import Bar, Figure, latency
from tests.bench.groups import until
from tests.bench.plan import Context, Finding
from tests.bench.school import course_id, enrollment_id, lesson_ids, school

_LEARNERS = 100
_LESSONS = 10
_LONGEST_SECONDS = 60.0
_ECHO_SECONDS = 10
_HOW = (
    f"{_LEARNERS} learners, each one completion a second, their seconds spread at random; courses of {_LESSONS} "
    "lessons, learners at different places in them, PDFs on; from before the sending to the arrival, by the clock of "
    "one process that sends and receives"
)
_HOW_ECHO = (
    "the same process at the same rate with no service between: sends into a topic and reads it back; what the broker "
    "and the measuring itself take"
)


async def measure(context: Context) -> Finding:
    """Time commands at a steady 100 a second: to the reply, the new percentage and the certificate."""
    run = secrets.token_hex(4)
    users = [f"learner-{number:03}" for number in range(_LEARNERS)]
    courses = [course_id(_LESSONS, number) for number in range(3 + context.seconds // _LESSONS)]
    before, planned = _plan(users, courses, context.seconds)
    watch = Watch(run, {(user, course): enrollment_id(user, course) for user in users for course in courses})
    for user in users:
        context.gateway.token(user)
    async with start_stack(StackKind.KAFKA, services=(), extra_environment=context.gateway.environment) as stack:
        target = from_environment(stack.environment)
        async with target.database() as db:
            await write_platform(db, school(((course, _LESSONS) for course in courses), users))
        for service in reversed(SERVICES):
            await stack.start_service(service)
        echo = await _echo(target)
        context.tell(f"sending {len(planned):,} commands over {context.seconds} s")
        await _send_and_watch(context, target, watch, before, planned)
    return Finding([latency("nothing between (echo)", echo, how=_HOW_ECHO), *_figures(watch, len(planned))])


def _figures(watch: Watch, commands: int) -> list[Figure]:
    states = watch.seconds["progressed"]
    return [
        Figure("commands", commands, "", _HOW),
        latency("command to reply", watch.seconds["recorded"], how=_HOW, bar=Bar("less than", 200)),
        latency("command to enrollment.progressed", states, how=_HOW, bar=Bar("less than", 300)),
        latency("command to enrollment.progressed", states, how=_HOW, bar=Bar("less than", 300, aim=60), percent=99),
        latency("a course's last command to certificate.issued", watch.seconds["certificate"], how=_HOW),
    ]


def _plan(
    users: Sequence[str], courses: Sequence[str], seconds: int
) -> tuple[list[PlannedCompletion], list[tuple[float, PlannedCompletion]]]:
    """What each learner has done before, and what each does when (s); certificates fall due all the time."""
    chance = random.Random(0)  # noqa: S311 - an order, no secret
    before: list[PlannedCompletion] = []
    planned: list[tuple[float, PlannedCompletion]] = []
    for number, user in enumerate(users):
        lessons = [(course, lesson) for course in courses for lesson in lesson_ids(course, _LESSONS)]
        done, phase = _LESSONS + number % _LESSONS, chance.random()
        before += [PlannedCompletion(user, lesson, course, 0) for course, lesson in lessons[:done]]
        planned += [
            (second + phase, PlannedCompletion(user, lesson, course, 0))
            for second, (course, lesson) in enumerate(lessons[done : done + seconds])
        ]
    return before, sorted(planned, key=lambda item: item[0])


async def _send_and_watch(
    context: Context,
    target: Target,
    watch: Watch,
    before: Sequence[PlannedCompletion],
    planned: Sequence[tuple[float, PlannedCompletion]],
) -> None:
    commands = [*before, *(completion for _, completion in planned)]
    async with target.reader(*TOPICS) as reader, target.producer() as producer:
        following = asyncio.create_task(watch.follow(reader))
        try:
            for completion in before:
                await _send(context, producer, watch, completion)
            await _arrived(watch, commands, since=0)
            for durations in watch.seconds.values():
                durations.clear()
            started = perf_counter()
            for at, completion in planned:
                await asyncio.sleep(started + at - perf_counter())
                await _send(context, producer, watch, completion)
            await _arrived(watch, commands, since=len(before))
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following


async def _send(context: Context, producer: AIOKafkaProducer, watch: Watch, completion: PlannedCompletion) -> None:
    index = watch.sent
    watch.sending(PlannedCommand(index, completion, first=True))
    await context.gateway.send(producer, completion, f"{watch.run}:{index}")


async def _arrived(watch: Watch, commands: Sequence[PlannedCompletion], *, since: int) -> None:
    """Wait for every reply, every state, and the certificate of every finished course."""
    in_course = Counter((command.user_id, command.course_id) for command in commands[: watch.sent])
    finished = sum(done == _LESSONS for done in in_course.values())

    async def nothing_missing() -> bool:
        states = len(watch.seconds["progressed"])
        return watch.answered >= watch.sent and states >= watch.sent - since and len(watch.certificates) >= finished

    await until(nothing_missing, every=0.2, seconds=_LONGEST_SECONDS, what="not every command has had its effects")


async def _echo(target: Target) -> list[float]:
    """Send at the same rate and read back, with nothing between."""
    sent: dict[bytes, float] = {}
    seconds: list[float] = []
    async with target.reader(PROGRESS_REPLIES) as reader, target.producer() as producer:
        receiving = asyncio.create_task(_receive(reader, sent, seconds, count=_LEARNERS * _ECHO_SECONDS))
        started = perf_counter()
        for number in range(_LEARNERS * _ECHO_SECONDS):
            await asyncio.sleep(started + number / _LEARNERS - perf_counter())
            key = str(number).encode()
            sent[key] = perf_counter()
            await producer.send(PROGRESS_REPLIES, b"{}", key)
        await asyncio.wait_for(receiving, _LONGEST_SECONDS)
    return seconds


async def _receive(reader: AIOKafkaConsumer, sent: dict[bytes, float], seconds: list[float], *, count: int) -> None:
    while len(seconds) < count:
        for records in (await reader.getmany(timeout_ms=1000)).values():
            now = perf_counter()
            seconds += [now - sent[record.key] for record in records if record.key in sent]
