"""What passes as commits that nobody took back."""

import pytest

from tests.faults.rows.commits import Commit, Commits, nothing_set_back

PARTITION = ("lesson.completed", 0)


class Passed(Commits):
    """Commits that have passed, as (when, offset, refused)."""

    def __init__(self, *commits: tuple[float, int, bool]) -> None:
        self._commits = [Commit(at, {PARTITION: offset}, refused) for at, offset, refused in commits]

    def since(self, count: int = 0) -> list[Commit]:
        return self._commits[count:]


def test_two_instances_may_commit_one_after_the_other() -> None:
    nothing_set_back(Passed((1, 5, False), (4, 9, False)), Passed((2, 7, False), (3, 7, False)))


def test_a_late_commit_that_is_refused_takes_nothing_back() -> None:
    nothing_set_back(Passed((1, 5, False), (3, 6, True)), Passed((2, 7, False)))


def test_a_late_commit_that_is_accepted_is_named() -> None:
    with pytest.raises(AssertionError, match="set back from 7 to 6"):
        nothing_set_back(Passed((1, 5, False), (3, 6, False)), Passed((2, 7, False)))
