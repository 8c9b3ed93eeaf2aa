"""Parts that a test stands on: what is missing here skips the test, and where everything has to be there fails it."""

import os
from collections.abc import Sequence
from typing import NoReturn

import pytest


def missing(*sentences: str) -> NoReturn:
    """Leave this test out and say what is missing; in CI that is a failure."""
    reason = "; ".join(sentences)
    if os.environ.get("LESSON_PROGRESS_REQUIRE_REAL"):
        pytest.fail(reason)
    pytest.skip(reason)


def needs(sentences: Sequence[str]) -> None:
    """The same, where there is a sentence at all."""
    if sentences:
        missing(*sentences)
