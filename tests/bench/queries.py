"""How long the learner's queries take while many ask at once."""

from urllib.parse import quote, urlsplit

from ops.platform.writing import write_platform
from ops.stacks import StackKind, start_stack
from ops.target import Target, from_environment
from tests.bench.figures import Bar, Figure, latency
from tests.bench.http_load import load, request
from tests.bench.plan import Context, Finding
from tests.bench.school import completions, course_id, lesson_ids, school, store

_CLIENTS = 50
_SECONDS = 10.0
_WARM_SECONDS = 2.0
_SIZES = (10, 200)
_QUERIES = ("progress", "next-lesson")
_BAR = Bar("less than", 100)
_HOW = (
    f"{_CLIENTS} clients on connections of their own, each a learner with half of the course's lessons done, each asks "
    f"again as soon as it is answered, {_SECONDS:.0f} s after {_WARM_SECONDS:.0f} s of warming up; from before the "
    "request is written to its answer's last byte"
)


async def measure(context: Context) -> Finding:
    """Ask for progress and for the next lesson, 50 clients at once, courses of 10 and 200 lessons."""
    users = [f"learner-{number}" for number in range(_CLIENTS)]
    figures: list[Figure] = []
    async with start_stack(StackKind.KAFKA, services=(), extra_environment=context.gateway.environment) as stack:
        await _prepare(from_environment(stack.environment), users)
        await stack.start_service("progress")
        port = urlsplit(stack.http_url("progress")).port or 0
        for size in _SIZES:
            for query in _QUERIES:
                path = f"/v1/courses/{quote(course_id(size), safe='')}/{query}"
                requests = [request(path, context.gateway.token(user)) for user in users]
                await load(port, requests, seconds=_WARM_SECONDS)
                seconds = await load(port, requests, seconds=_SECONDS)
                name = f"{query}, {size} lessons"
                figures.append(latency(name, seconds, how=_HOW, bar=_BAR))
                figures.append(Figure(f"{name}, answers a second", round(len(seconds) / _SECONDS), "1/s", _HOW))
                context.tell(f"{name}: measured")
    return Finding(figures)


async def _prepare(target: Target, users: list[str]) -> None:
    async with target.database() as db:
        await write_platform(db, school([(course_id(size), size) for size in _SIZES], users))
        await db["lessonProgress"].create_index([("userId", 1), ("lessonId", 1)], unique=True)
        for size in _SIZES:
            done = lesson_ids(course_id(size), size)[: size // 2]
            await store(db, [fact for user in users for fact in completions(user, course_id(size), done)])
