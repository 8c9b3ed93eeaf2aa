"""How long one enrollment's recalculation takes, by the number of its course's lessons."""

import asyncio
from collections.abc import Sequence
from time import perf_counter

from aiokafka import AIOKafkaConsumer

from ops.platform.writing import write_platform
from ops.stacks import StackKind, start_stack
from ops.target import Target, from_environment
from services.progress.domain import Completion
from services.progress.messaging import lesson_completed
from services.recalculator.handlers import recalculate_enrollments
from services.recalculator.storage import MongoRecalculatorStore
from shared.contracts.envelope import Cause
from shared.contracts.topics import ENROLLMENT_PROGRESSED
from shared.kafka.produce import Publication, Publisher
from tests.bench.figures import Bar, Figure, latency
from tests.bench.groups import Stalled
from tests.bench.plan import Context, Finding
from tests.bench.school import completions, course_id, enrollment_id, lesson_ids, school, store

_SIZES = (10, 50, 100, 200, 2000)
_JUDGED_SIZE = 200
_BAR = Bar("less than", 200)
_ENROLLMENTS = 200
#: With thousands of lessons, fewer enrollments hold as many facts.
_ENROLLMENTS_OF_LARGE = 60
_LARGE = 1000
_LONGEST_SECONDS = 10.0
_HOW_CODE = (
    "recalculate_enrollments over the service's own store, one enrollment after another, each with a record for every "
    "lesson, never recalculated before: read enrollment, lessons and records, store the new state"
)
_HOW_KAFKA = (
    "lesson.completed published, acknowledged and handled by the running recalculator, enrollment.progressed received: "
    "one enrollment after another, from before the publishing to the arrival, both in this process"
)


async def measure(context: Context) -> Finding:
    """Time one enrollment's recalculation in courses of 10 to 2,000 lessons."""
    figures: list[Figure] = []
    async with start_stack(StackKind.KAFKA, services=(), extra_environment=context.gateway.environment) as stack:
        target = from_environment(stack.environment)
        facts = {size: await _prepared(target, size) for size in _SIZES}
        for size, found in facts.items():
            first = found[: len(found) // 2]
            figures.append(_latency(size, "handler and store", await _by_code(target, first), _HOW_CODE))
            context.tell(f"{size} lessons: handler and store measured")
        await stack.start_service("recalculator")
        for size, found in facts.items():
            second = found[len(found) // 2 :]
            figures.append(_latency(size, "through Kafka", await _by_kafka(target, second), _HOW_KAFKA))
            context.tell(f"{size} lessons: through Kafka measured")
    return Finding(figures)


def _latency(size: int, way: str, seconds: Sequence[float], how: str) -> Figure:
    return latency(f"{size} lessons, {way}", seconds, how=how, bar=_BAR if size == _JUDGED_SIZE else None)


async def _prepared(target: Target, size: int) -> list[Completion]:
    """Import a course and store every learner's records; answers the last record of each learner."""
    course, lessons = course_id(size), lesson_ids(course_id(size), size)
    enrollments = _ENROLLMENTS if size < _LARGE else _ENROLLMENTS_OF_LARGE
    users = [f"learner-{size}-{number}" for number in range(enrollments)]
    last: list[Completion] = []
    async with target.database() as db:
        await write_platform(db, school([(course, size)], users))
        await db["lessonProgress"].create_index([("userId", 1), ("lessonId", 1)], unique=True)
        await db["lessonProgress"].create_index([("enrollmentId", 1)])
        for user in users:
            facts = completions(user, course, lessons)
            await store(db, facts)
            last.append(facts[-1])
    return last


async def _by_code(target: Target, facts: Sequence[Completion]) -> list[float]:
    seconds: list[float] = []
    async with target.database() as db:
        recalculator_store = MongoRecalculatorStore(db, target.settings.mongo)
        await recalculator_store.prepare()
        for fact in facts:
            started = perf_counter()
            await recalculate_enrollments([fact.enrollment_id], recalculator_store)
            seconds.append(perf_counter() - started)
    return seconds


async def _by_kafka(target: Target, facts: Sequence[Completion]) -> list[float]:
    seconds: list[float] = []
    async with target.reader(ENROLLMENT_PROGRESSED) as reader, target.producer() as producer:
        publisher = Publisher(producer, service="progress")
        for fact in facts:
            arrival = asyncio.create_task(_arrived(reader, enrollment_id(fact.user_id, fact.course_id)))
            started = perf_counter()
            await publisher.publish([Publication(lesson_completed(fact), Cause())])
            seconds.append(await arrival - started)
    return seconds


async def _arrived(reader: AIOKafkaConsumer, enrollment: str) -> float:
    """Wait for an enrollment's new state; answers when it came (monotonic, s)."""
    try:
        async with asyncio.timeout(_LONGEST_SECONDS):
            while True:
                if (await reader.getone()).key == enrollment.encode():
                    return perf_counter()
    except TimeoutError:
        raise Stalled(f"enrollment.progressed of {enrollment} has not come after {_LONGEST_SECONDS:.0f} s") from None
