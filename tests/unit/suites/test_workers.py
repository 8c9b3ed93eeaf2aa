"""How the workers of a run share it: nobody starts a system that another has, and what is named is there."""

from pathlib import Path

import pytest

from tests.support import workers
from tests.support.workers import ports_of_this_worker, share_of, turn_of

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("path", [*workers._TOGETHER, *workers._BEGUN_FIRST])
def test_what_is_kept_together_or_begun_first_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("folder", workers._TOGETHER)
def test_a_folder_that_is_kept_together_is_one_share(folder: str) -> None:
    assert {share_of(f"{folder}/{file.name}::test") for file in (ROOT / folder).glob("test_*.py")} == {folder}


def test_every_other_file_is_one_workers_share() -> None:
    assert share_of("tests/e2e/test_answers.py::test[a::b]") == "tests/e2e/test_answers.py"
    assert share_of("tests/contract/test_ids.py::TestIds::test") == "tests/contract/test_ids.py"


def test_what_takes_long_is_begun_before_all_that_is_not_named() -> None:
    nodes = ["tests/unit/a.py::t", "tests/e2e/test_answers.py::t", "tests/containers/test_cluster.py::t"]

    assert sorted(nodes, key=turn_of) == nodes[::-1]


def test_a_file_that_is_named_has_a_turn_of_its_own_and_not_its_folders() -> None:
    assert turn_of("tests/e2e/test_answers.py::t") < turn_of("tests/e2e/test_killed_services.py::t")


def test_no_two_workers_have_a_port_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []
    for worker in range(10):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{worker}")
        found += ports_of_this_worker(range(12_000, 20_000))

    assert sorted(found) == list(range(12_000, 20_000))
