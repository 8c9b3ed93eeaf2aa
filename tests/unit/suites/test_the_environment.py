"""A test that gives a service settings of its own leaves the environment of all others as it was."""

import os

import pytest

from tests.support.alone import only


def test_settings_stand_alone_in_their_block_and_what_stood_before_stands_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LESSON_PROGRESS_REQUIRE_REAL", "1")
    monkeypatch.setenv("LESSON_PROGRESS_LOG__LEVEL", "debug")
    before = dict(os.environ)

    with only({"LESSON_PROGRESS_MONGO__DATABASE": "own"}):
        inside = {name: value for name, value in os.environ.items() if name.startswith("LESSON_PROGRESS_")}

    assert inside == {"LESSON_PROGRESS_MONGO__DATABASE": "own"}
    assert dict(os.environ) == before
