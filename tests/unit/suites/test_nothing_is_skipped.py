"""In CI nothing is skipped: whatever skips itself has failed, and the run says why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
#: The ways of skipping, each for a reason of its own, and what is expected to fail.
SKIPPING = """
import pytest

@pytest.fixture
def part():
    pytest.skip("no part")

def test_in_a_fixture(part): pass

def test_in_a_test():
    pytest.skip("no time")

@pytest.mark.skipif(True, reason="no wish")
def test_by_a_mark(): pass

@pytest.mark.xfail(reason="a known defect")
def test_that_is_expected_to_fail():
    assert False
"""
MODULE = 'import pytest\npytest.skip("no module", allow_module_level=True)\n'
REASONS = ("no part", "no time", "no wish", "no module")


def run(folder: Path, **environment: str) -> tuple[int, str]:
    """The exit code and the output of a run of these tests, with what all suites share."""
    suite = folder / "tests"
    suite.mkdir()
    (suite / "test_skipping.py").write_text(SKIPPING)
    (suite / "test_module.py").write_text(MODULE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LESSON_PROGRESS_", "PYTEST_"))}
    options = ("-p", "tests.conftest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", folder)
    ended = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-m", "pytest", "-ra", "--continue-on-collection-errors", *options, suite],
        cwd=ROOT,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout


def test_whatever_is_skipped_has_failed_in_ci_and_says_why(tmp_path: Path) -> None:
    code, said = run(tmp_path, LESSON_PROGRESS_REQUIRE_REAL="1")

    assert code == pytest.ExitCode.TESTS_FAILED, said
    assert "1 failed, 1 xfailed, 3 errors" in said  # what skips itself in its own lines has failed, the rest before
    for reason in REASONS:
        assert f"{reason}: with LESSON_PROGRESS_REQUIRE_REAL set nothing is skipped" in said


def test_on_a_developers_machine_it_is_skipped(tmp_path: Path) -> None:
    code, said = run(tmp_path)

    assert code == pytest.ExitCode.OK, said
    assert "4 skipped, 1 xfailed" in said
