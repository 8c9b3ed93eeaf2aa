"""Every await of the product is one at which a process is stopped, or has its excuse: also the one of tomorrow."""

from collections.abc import Callable

import pytest

from tests.faults.crash_points.excuses import EXCUSES, excuse_of
from tests.faults.crash_points.trying import all_awaits, reached, stopped_at
from tests.support.lives import checkpoints, product_modules


def test_every_await_of_the_product_is_one_at_which_a_story_stops_or_excused(
    record_property: Callable[[str, object], None],
) -> None:
    covered = stopped_at()

    unseen = [str(place) for place in all_awaits() if place not in covered and excuse_of(place) is None]

    record_property("awaits", len(covered))
    assert not unseen, "no process is stopped at these; tell a story, or excuse them:\n" + "\n".join(unseen)


@pytest.mark.parametrize("entry", EXCUSES)
def test_an_excuse_is_for_awaits_that_are_there_and_that_no_story_reaches(entry: str) -> None:
    excused = [place for place in all_awaits() if excuse_of(place) == entry]

    assert excused, f"there is no such await any more: {entry}"
    after_all = [str(place) for place in excused if place in reached()]
    assert not after_all, "a story reaches these after all:\n" + "\n".join(after_all)


def test_the_product_is_as_it_was_once_its_awaits_are_no_longer_watched() -> None:
    modules = product_modules()
    before = [dict(vars(module)) for module in modules]

    with checkpoints(modules):
        assert any("__point__" in vars(module) for module in modules)

    assert [dict(vars(module)) for module in modules] == before
