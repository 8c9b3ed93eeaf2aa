"""A healthy system that has nothing to do says nothing; a part that goes and comes back is told of, and no flood."""

import argparse
import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from time import perf_counter

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ops.offsets import GroupOffsets
from ops.platform.datasets import PlannedCompletion
from ops.platform.writing import write_platform
from ops.stacks import SERVICES, RunningStack, StackKind, start_stack
from ops.target import from_environment
from tests.bench.figures import Bar, Figure
from tests.bench.groups import until
from tests.bench.plan import Finding
from tests.bench.school import course_id, lesson_ids, school
from tests.bench.sending import Gateway
from tests.faults.endurance.lines import Bound, Line, Reading
from tests.faults.endurance.trial import Trial

_PARTS = ("broker", "database")
_LESSONS, _LEARNERS = 100, 50
_SETTLING_SECONDS = 5.0
_LONGEST_SECONDS = 120.0
#: A person reads this much about an outage, and nothing of it again and again.
_OUTAGE = Bound(lines=10, repeats=2)
#: Nothing is wrong: nothing is to be said.
_IDLE = Bound(lines=0, repeats=0)
_HOW_IDLE = "all three services on an idle system; lines of level error or warning in any log"
_HOW_RESTART = (
    "a few commands a second all the while; broker and database are killed and stay away, services are asked to end "
    "and started again; until everything is ready and handled; lines of level warning or error per service, at most "
    f"{_OUTAGE.lines}, none more than {_OUTAGE.repeats} times, no traceback"
)


def options(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--minutes", type=float, default=10, metavar="N", help="how long nothing happens (default: 10)")
    parser.add_argument(
        "--away", type=float, default=30, metavar="SECONDS", help="how long a part is away (default: 30)"
    )
    parser.add_argument("--rate", type=float, default=5, metavar="N", help="commands a second meanwhile (default: 5)")


async def run(trial: Trial) -> Finding:
    """Leave the system idle, then restart each of its parts, and read what it logs."""
    figures: list[Figure] = []
    problems: list[str] = []
    async with start_stack(StackKind.KAFKA, directory=trial.directory) as stack:
        async with trial_readings(stack) as readings:
            trial.tell(f"nothing happens for {trial.asked.minutes:g} minutes")
            await asyncio.sleep(60 * trial.asked.minutes)
        figures.append(_idle_figure(trial, readings, problems))
        await _fill(stack)
        async with _trickle(stack, trial.asked.rate):
            await asyncio.sleep(_SETTLING_SECONDS)
            for part in (*_PARTS, *SERVICES):
                trial.tell(f"{part} goes, and comes back")
                async with trial_readings(stack) as readings:
                    await _restart(stack, part, trial.asked.away)
                figures.append(_outage_figure(trial, part, readings, problems))
    return Finding(figures, problems=problems)


@asynccontextmanager
async def trial_readings(stack: RunningStack) -> AsyncIterator[dict[str, list[Line]]]:
    """What each service writes while the block runs; filled when it ends."""
    readings = _readings(stack)
    found: dict[str, list[Line]] = {}
    yield found
    found.update({service: reading.lines() for service, reading in readings.items()})


def _readings(stack: RunningStack) -> dict[str, Reading]:
    return {service: Reading(stack.log_path(service)) for service in SERVICES}


def _idle_figure(trial: Trial, found: Mapping[str, list[Line]], problems: list[str]) -> Figure:
    _show(trial, found)
    problems += [f"idle: {service}: {p}" for service, lines in found.items() for p in _IDLE.broken_by(lines)]
    loud = {service: sum(line.loud for line in lines) for service, lines in found.items()}
    return Figure("lines while idle", sum(loud.values()), "", _HOW_IDLE, Bar("less than", 1), loud)


def _outage_figure(trial: Trial, part: str, found: Mapping[str, list[Line]], problems: list[str]) -> Figure:
    _show(trial, found)
    problems += [f"{part} away: {service}: {p}" for service, lines in found.items() for p in _OUTAGE.broken_by(lines)]
    loud = {service: sum(line.loud for line in lines) for service, lines in found.items()}
    return Figure(f"{part} away: lines", sum(loud.values()), "", _HOW_RESTART, details=loud)


def _show(trial: Trial, found: Mapping[str, list[Line]]) -> None:
    for service, lines in found.items():
        for (level, text), times in Counter((line.level, line.text) for line in lines).items():
            if level != "info" or text.partition(" ")[0] in _TOLD:
                trial.tell(f"  {service}: {level}: {text}{f' ({times} times)' if times > 1 else ''}")


#: Of the lines of level info, those about the service itself.
_TOLD = frozenset({"service.started", "service.stopping", "partitions.assigned", "background.resumed"})


async def _restart(stack: RunningStack, part: str, away: float) -> None:
    """Take a part away and bring it back; answers when everything works again, and every service has said so.

    Raises:
        Stalled: it does not, or a service that said that something was away does not say that it is back.
    """
    readings = _readings(stack)
    if part in _PARTS:
        stack.kill_part(part)
        await asyncio.sleep(away)
        await stack.start_part(part)
    else:
        await stack.stop_service(part)
        await stack.start_service(part)
    await until(lambda: _ready(stack), every=0.5, seconds=_LONGEST_SECONDS, what="not every service is ready")
    what = "a service does not say that what it waited for is back"
    await until(lambda: _told(readings), every=0.5, seconds=_LONGEST_SECONDS, what=what)
    await asyncio.sleep(_SETTLING_SECONDS)


async def _told(readings: Mapping[str, Reading]) -> bool:
    """Whether every service that said that it waits said later that it goes on."""
    for reading in readings.values():
        said = [line.text for line in await asyncio.to_thread(reading.lines)]
        waits = {text.removeprefix("background.waits ") for text in said if text.startswith("background.waits")}
        if not waits <= {text.removeprefix("background.resumed ") for text in said}:
            return False
    return True


async def _ready(stack: RunningStack) -> bool:
    async with httpx.AsyncClient(timeout=5) as client:
        try:
            answers = [await client.get(f"{stack.http_url(service)}/health/ready") for service in SERVICES]
        except httpx.HTTPError:
            return False
    if not all(answer.is_success for answer in answers):
        return False
    async with GroupOffsets(from_environment(stack.environment)) as offsets:
        # A few are always on their way.
        return all([await offsets.behind(service) < 100 for service in SERVICES])


async def _fill(stack: RunningStack) -> None:
    course = course_id(_LESSONS)
    async with from_environment(stack.environment).database() as db:
        await write_platform(db, school([(course, _LESSONS)], [f"learner-{n}" for n in range(_LEARNERS)]))


@asynccontextmanager
async def _trickle(stack: RunningStack, rate: float) -> AsyncIterator[None]:
    """A few commands a second while the block runs."""
    async with from_environment(stack.environment).producer() as producer:
        sending = asyncio.create_task(_send(Gateway(stack.directory), producer, rate))
        try:
            yield
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending


async def _send(gateway: Gateway, producer: AIOKafkaProducer, rate: float) -> None:
    run, started = secrets.token_hex(4), perf_counter()
    lessons = lesson_ids(course_id(_LESSONS), _LESSONS)
    for number in range(1_000_000):
        await asyncio.sleep(max(0.0, started + number / rate - perf_counter()))
        learner, lesson = f"learner-{number % _LEARNERS}", lessons[number // _LEARNERS % _LESSONS]
        with suppress(KafkaError):  # the broker is away: this gateway does not mind
            sent = await gateway.send(
                producer, PlannedCompletion(learner, lesson, course_id(_LESSONS), 0), f"{run}:{number}"
            )
            sent.add_done_callback(asyncio.Future.exception)
