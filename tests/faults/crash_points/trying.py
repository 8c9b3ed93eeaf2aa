"""Which points of a story are tried, and what came of it.

In the ordinary run: the first time that each point is reached by this service's process in any story, killed and
frozen; and of all other times, when the same await is reached again in another state of the world, a spread sample.
With `LESSON_PROGRESS_THOROUGH` set: every time, both ways.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

from shared.contracts.topics import SERVICES
from tests.faults.crash_points.stopping import Told, Way, stopped, undisturbed
from tests.faults.crash_points.stories import STORIES, Story
from tests.support.lives import Await, awaits_of, checkpoints, product_modules

THOROUGH = "LESSON_PROGRESS_THOROUGH"
#: Of the times that a point is reached again, every so manieth is tried in the ordinary run.
_SAMPLE = 40
#: Where the first process stops, and where its successor does, in the sample of second stops.
_FIRST, _SECOND = 37, 23
_SHOWN = 5


@dataclass
class Tried:
    """What was tried, and what broke the promise."""

    points: int = 0
    violations: list[str] = field(default_factory=list)

    def one(self, story: Story, victim: str, at: int, name: str, way: Way, again: int | None = None) -> None:
        """Stop this process there, and see."""
        try:
            stops = stopped(story, victim, at, way, again=again).stops
            assert stops, "the point was not reached"
            self.points += stops
        except AssertionError as violation:
            self.points += 1
            second = "" if again is None else f", its successor at {again}"
            self.violations.append(f"{way} at {at}, {name}{second}: {violation}")

    def judge(self, record: Callable[[str, object], None]) -> None:
        """Tell the summary, and fail where the promise was broken.

        Raises:
            AssertionError: it was.
        """
        record("crash points", self.points)
        record("violations", len(self.violations))
        shown = "\n".join(self.violations[:_SHOWN])
        assert not self.violations, f"{len(self.violations)} of {self.points} points break the promise:\n{shown}"


@cache
def told(story_name: str) -> dict[str, Told]:
    """What everybody comes by in a story in which nobody stops."""
    [story] = [story for story in STORIES if story.name == story_name]
    with checkpoints(product_modules()):
        return undisturbed(story)


def reached() -> set[Await]:
    """Every await that some story comes by."""
    return {place for story in STORIES for service in told(story.name).values() for place in service.awaits}


def stopped_at() -> set[Await]:
    """Every await that a process comes by which is stopped in that story: a replica beside it is not."""
    return {place for story in STORIES for victim in story.victims for place in told(story.name)[victim].own}


def all_awaits() -> list[Await]:
    """Every await of the product, read from its source."""
    return awaits_of(product_modules())


def chosen(story: Story, victim: str) -> Iterator[tuple[int, str, Way]]:
    """The points of a story to try, and the way."""
    known = {name for name in _tried_before(story, victim) if not os.environ.get(THOROUGH)}
    again = 0
    for at, name in enumerate(told(story.name)[victim].points):
        if os.environ.get(THOROUGH) or name not in known:
            known.add(name)
            yield from ((at, name, way) for way in Way)
        else:
            again += 1
            if again % _SAMPLE == 0:
                yield at, name, list(Way)[again // _SAMPLE % 2]


def _tried_before(story: Story, victim: str) -> Iterator[str]:
    for earlier in STORIES[: STORIES.index(story)]:
        if victim in earlier.victims:
            yield from told(earlier.name)[victim].points


def stop_everywhere(story: Story, victim: str) -> Tried:
    """Stop a service's process at each of the chosen points of a story, one world for each."""
    tried = Tried()
    points = list(chosen(story, victim))
    with checkpoints(product_modules()):
        for at, name, way in points:
            tried.one(story, victim, at, name, way)
    return tried


def stop_twice(story: Story, victim: str) -> Tried:
    """Stop a process, and its successor while it repairs what the first one left: a sample."""
    tried = Tried()
    points = told(story.name)[victim].points
    with checkpoints(product_modules()):
        for at in range(_FIRST, len(points), _FIRST):
            for second in range(_SECOND + at % _SECOND, len(points), 4 * _FIRST):
                way = list(Way)[(at + second) % 2]
                tried.one(story, victim, at, points[at], way, again=second)
    return tried


__all__ = ["SERVICES", "Tried", "stop_everywhere", "stop_twice"]
