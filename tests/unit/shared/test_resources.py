"""What a service holds while it runs: nothing begins before it is there, and no old key is trusted for ever."""

from typing import Any, cast

import pytest

from shared import resources as module
from shared.errors import Fatal
from shared.resources import Resources
from shared.settings import ServiceSettings
from tests.support.key_set import FakeClock


@pytest.fixture
def resources() -> Resources:
    return Resources("progress", ServiceSettings(), FakeClock())


async def test_the_database_answers_and_has_its_indexes_before_anything_is_done_with_it(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    async def pinged(_: object) -> None:
        steps.append("answers")

    async def prepare() -> None:
        steps.append("has its indexes")

    monkeypatch.setattr(module, "ping", pinged)
    async with resources.database(prepare):
        steps.append("is used")
    assert steps == ["answers", "has its indexes", "is used"]


class Keys:
    """A key set: fresh, or one whose refresher has ended as the test says."""

    def __init__(self, ended_by: Exception | None) -> None:
        self.ready = ended_by is None
        self._ended_by = ended_by

    async def wait_ready(self) -> None:
        assert self._ended_by is not None
        raise self._ended_by


async def test_keys_that_are_no_longer_kept_fresh_end_the_service(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_KEYS_SECONDS", 0)
    resources._keys = cast("Any", Keys(RuntimeError("a bug")))
    with pytest.raises(Fatal, match="no longer kept fresh: RuntimeError"):
        await resources.watch_keys()


async def test_keys_that_are_kept_fresh_are_left_alone(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEYS_SECONDS", 0)
    resources._keys = cast("Any", Keys(None))
    await resources.watch_keys()
