"""How long the learner's queries take while many ask at once."""

from urllib.parse import quote, urlsplit

from ops.platform.writing import write_platform
from ops.stacks import StackKind, start_stack
from ops.target import Target, from_environment
from tests.bench.figures import Bar, Figure, latency
from tests.bench.http_load import ask_every_second, request, saturate
from tests.bench.plan import Context, Finding
from tests.bench.school import completions, course_id, lesson_ids, school, store

_LEARNERS = 100
_SATURATING = 50
_SECONDS = 20
_SATURATED_SECONDS = 8.0
_WARM_SECONDS = 2.0
_SIZES = (10, 200)
_QUERIES = ("progress", "next-lesson")
_BAR = Bar("less than", 100)
_HOW = (
    f"{_LEARNERS} learners at once, each on a connection of its own and with half of the course's lessons done, each "
    f"asks once a second for {_SECONDS} s; from the moment the request was due to its answer's last byte"
)
_HOW_SATURATED = (
    f"{_SATURATING} of them without a pause, each asks again as soon as it is answered, {_SATURATED_SECONDS:.0f} s: as "
    "much as one process can answer, and how long an answer takes then"
)


async def measure(context: Context) -> Finding:
    """Ask for progress and for the next lesson, 100 learners at once, courses of 10 and 200 lessons."""
    users = [f"learner-{number}" for number in range(_LEARNERS)]
    figures: list[Figure] = []
    async with start_stack(StackKind.KAFKA, services=(), extra_environment=context.gateway.environment) as stack:
        await _prepare(from_environment(stack.environment), users)
        await stack.start_service("progress")
        port = urlsplit(stack.http_url("progress")).port or 0
        for size in _SIZES:
            for query in _QUERIES:
                path = f"/v1/courses/{quote(course_id(size), safe='')}/{query}"
                requests = [request(path, context.gateway.token(user)) for user in users]
                await saturate(port, requests, seconds=_WARM_SECONDS)
                name = f"{query}, {size} lessons"
                asked = await ask_every_second(port, requests, seconds=_SECONDS)
                figures.append(latency(name, asked, how=_HOW, bar=_BAR))
                saturated = await saturate(port, requests[:_SATURATING], seconds=_SATURATED_SECONDS)
                rate = round(len(saturated) / _SATURATED_SECONDS)
                figures.append(Figure(f"{name}, most answers a second", rate, "1/s", _HOW_SATURATED))
                figures.append(latency(f"{name}, at that rate", saturated, how=_HOW_SATURATED))
                context.tell(f"{name}: measured")
    return Finding(figures)


async def _prepare(target: Target, users: list[str]) -> None:
    async with target.database() as db:
        await write_platform(db, school([(course_id(size), size) for size in _SIZES], users))
        await db["lessonProgress"].create_index([("userId", 1), ("lessonId", 1)], unique=True)
        for size in _SIZES:
            done = lesson_ids(course_id(size), size)[: size // 2]
            await store(db, [fact for user in users for fact in completions(user, course_id(size), done)])
