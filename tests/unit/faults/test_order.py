"""What passes as commits that came after the events of their records."""

import pytest

from tests.faults.rows.order import Asked, in_order

PARTITION = ("progress.commands", 0)
#: Two records, and the event of each.
FOLLOWS = {(PARTITION, 4): b"first", (PARTITION, 5): b"second"}


def test_a_commit_may_come_once_the_events_of_all_its_records_are_acknowledged() -> None:
    asked = [Asked(1, {PARTITION: 4}), Asked(3, {PARTITION: 5}), Asked(5, {PARTITION: 6})]

    in_order(asked, {b"first": 2, b"second": 4}, FOLLOWS)


@pytest.mark.parametrize("asked", [[Asked(3, {PARTITION: 6})], [Asked(3, {PARTITION: 6}), Asked(5, {PARTITION: 6})]])
def test_a_commit_before_an_acknowledgement_is_named_though_it_is_repeated_later(asked: list[Asked]) -> None:
    with pytest.raises(AssertionError, match=r"5\) was committed 1.000 s before its event was acknowledged"):
        in_order(asked, {b"first": 2, b"second": 4}, FOLLOWS)


def test_a_commit_without_any_acknowledgement_is_named() -> None:
    with pytest.raises(AssertionError, match="never acknowledged"):
        in_order([Asked(3, {PARTITION: 6})], {b"first": 2}, FOLLOWS)


def test_where_no_commit_was_seen_nothing_is_proved() -> None:
    with pytest.raises(AssertionError, match=r"no commit of .* 5\) was seen"):
        in_order([Asked(3, {PARTITION: 5})], {b"first": 2, b"second": 4}, FOLLOWS)
