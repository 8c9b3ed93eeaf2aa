"""A pytest plugin: notes what became of every test, and by which exception, in the file that the environment names."""

import json
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.guards.running import Noted

#: Names the file.
RECORD = "GUARDS_RECORD"
ASSERTION, TIMEOUT = "assertion", "timeout"

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
            "by": [] if failure is None else sorted({_kind(leaf) for leaf in _leaves(failure)}),
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


def _kind(failure: BaseException) -> str:
    if isinstance(failure, pytest.fail.Exception):
        return TIMEOUT if "Timeout" in str(failure) else ASSERTION
    return ASSERTION if isinstance(failure, AssertionError) else type(failure).__name__
