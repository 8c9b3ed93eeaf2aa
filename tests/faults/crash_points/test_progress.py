"""The process of progress, stopped before and after every await: nothing is lost, nothing is doubled."""

from collections.abc import Callable

import pytest

from tests.faults.crash_points.stories import STORIES, Story
from tests.faults.crash_points.trying import stop_everywhere, stop_twice

#: Hundreds of worlds a story, on a machine that may be busy.
pytestmark = pytest.mark.timeout(3600)
TOLD = [pytest.param(story, id=story.name) for story in STORIES if "progress" in story.victims]


@pytest.mark.parametrize("story", TOLD)
def test_killed_or_frozen_at_any_await_it_harms_nothing(
    story: Story, record_property: Callable[[str, object], None]
) -> None:
    stop_everywhere(story, "progress").judge(record_property)


def test_stopped_again_while_the_first_stop_is_repaired_it_harms_nothing(
    record_property: Callable[[str, object], None],
) -> None:
    stop_twice(STORIES[0], "progress").judge(record_property)
