"""A pytest plugin: notes what became of every test, and by which exception, in the file that the environment names."""

import json
import os
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import _pytest
import pytest

if TYPE_CHECKING:
    from tests.faults.guards.running import Noted

#: Names the file.
RECORD = "GUARDS_RECORD"
ASSERTION, TIMEOUT = "assertion", "timeout"
#: Whose assertions are a test's judgement: of tests and what they share, and pytest's of exceptions.
_JUDGES = (Path(__file__).parents[2], Path(_pytest.__file__).parent)

_notes: "list[Noted]" = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note each phase of each test."""
    report = yield
    failure = call.excinfo.value if call.excinfo is not None and report.failed else None
    _notes.append(
        {
            "test": item.nodeid,
            "phase": report.when,
            "outcome": report.outcome,
            "by": [] if failure is None else sorted({kind(leaf) for leaf in _leaves(failure)}),
        }
    )
    return report


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note what could not be collected: such a test has judged nothing."""
    if report.failed:
        _notes.append({"test": report.nodeid, "phase": "collect", "outcome": "failed", "by": ["collection"]})


def pytest_sessionfinish() -> None:
    """Write everything down."""
    Path(os.environ[RECORD]).write_text(json.dumps(_notes), encoding="utf-8")


def _leaves(failure: BaseException) -> Iterator[BaseException]:
    if isinstance(failure, BaseExceptionGroup):
        for inner in failure.exceptions:
            yield from _leaves(inner)
    else:
        yield failure


def kind(failure: BaseException) -> str:
    """What a test failed by; an `assert` of the product, or of a library, is an exception like others."""
    if isinstance(failure, pytest.fail.Exception):
        return TIMEOUT if "Timeout" in str(failure) else ASSERTION
    judged = isinstance(failure, AssertionError) and any(map(_raised_at(failure).is_relative_to, _JUDGES))
    return ASSERTION if judged else type(failure).__name__


def _raised_at(failure: BaseException) -> Path:
    """The file of the line that raised it."""
    *_, (frame, _) = traceback.walk_tb(failure.__traceback__)
    return Path(frame.f_code.co_filename)
