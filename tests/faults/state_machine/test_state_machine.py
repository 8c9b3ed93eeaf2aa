"""Whatever happens to all three services, in any order, nothing is lost and nothing is doubled in the end.

The ordinary run takes the same sequences each time, so that it is never red by chance; the nightly one takes new ones,
and prints what it finds as a test to keep. Source: reliability, "How it is proved", 2.
"""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.state_machine.machine import Services

pytestmark = pytest.mark.timeout(12 * 3600)

_THOROUGH = bool(os.environ.get("LESSON_PROGRESS_THOROUGH"))
_STEPS_OF_ONE = 50
#: At least so many steps.
_STEPS = 200_000 if _THOROUGH else 2_000
#: Each time anew in the nightly run.
_ANEW = _THOROUGH


def test_nothing_is_lost_and_nothing_is_doubled_whatever_happens(
    record_property: Callable[[str, object], None],
) -> None:
    Services.taken = 0
    found = settings(
        max_examples=20 if not _THOROUGH else 500,
        stateful_step_count=_STEPS_OF_ONE,
        deadline=None,
        derandomize=not _ANEW,
        database=None,
        phases=[Phase.generate, Phase.shrink] if _ANEW else [Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    while Services.taken < _STEPS:
        before = Services.taken
        run_state_machine_as_test(Services, settings=found)
        assert Services.taken > before
        if not _ANEW and Services.taken < _STEPS:
            found = settings(found, max_examples=found.max_examples * 2)
            Services.taken = 0
    record_property("steps", Services.taken)
