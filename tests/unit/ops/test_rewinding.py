"""How far back, and from which topics: commands alone, because everything else follows from them."""

import pytest

from ops.errors import OperatorError
from ops.rewinding import command_topics, iso, moment


def test_only_topics_of_commands_are_gone_back_in_because_events_follow_again() -> None:
    assert command_topics("progress") == ["progress.commands", "progress.replays"]
    assert command_topics("recalculator") == ["recalculation.commands"]
    assert command_topics("certificates") == ["certificate.commands"]


def test_a_moment_is_read_with_its_zone_and_written_in_utc() -> None:
    assert moment("2026-01-31T03:00:00Z") == moment("2026-01-31T04:00:00+01:00") == 1_769_828_400_000
    assert iso(1_769_828_400_000) == "2026-01-31T03:00:00+00:00"


@pytest.mark.parametrize("text", ["yesterday", "2026-01-31T03:00:00", "", "1769828400", "0026-01-31T03:00:00Z"])
def test_what_is_no_moment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(OperatorError, match="write it with its zone, as 2026-01-31T03:00:00Z"):
        moment(text)
