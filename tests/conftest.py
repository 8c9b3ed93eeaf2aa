"""What every suite shares: on which stack it runs, and a closing line that says which stack served which suite."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

from ops.stacks import StackKind, missing_parts
from tests.support.composed import missing_for_containers
from tests.support.workers import Shares, turn_of

_SERVED: defaultdict[str, set[str]] = defaultdict(set)
#: What tests counted (`record_property`), summed up at the end: they may have run in several processes.
_COUNTED: Counter[str] = Counter()
#: A closing line for each of these counts that is there.
_SUMS = {
    "crash points": "crash points: {awaits:,} awaits, {crash points:,} points tried, {violations:,} violations",
    "steps": "state machines: {steps:,} steps",
}
#: What tests with these marks stand on.
_STACKS = {"real": "Apache Kafka and the Rust server", "containers": "containers"}

#: Set where a part that is missing is a failure: in CI.
_REQUIRED = "LESSON_PROGRESS_REQUIRE_REAL"
_NAMES = {"awaits", "crash points", "violations", "steps"}
_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)

#: A machine that is busy for a moment is no defect: no example is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stack", choices=["embedded", "kafka"], default="embedded", help="what the services stand on in these tests"
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what depends on the stack."""
    if "stack_kind" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.stacked)


@pytest.hookimpl(optionalhook=True)  # without the plugin there are no workers
def pytest_xdist_make_scheduler(config: pytest.Config, log: Callable[..., None]) -> Shares:
    """Keep together what shares a system, and begin what takes longest first."""
    return Shares(config, log)


@pytest.hookimpl(trylast=True)  # after -m has taken its choice
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs real parts or containers where they are missing; in CI a missing part is a failure."""
    items.sort(key=lambda item: turn_of(item.nodeid))
    on_kafka = config.getoption("--stack") == "kafka"
    real = [item for item in items if item.get_closest_marker("real")]
    if (on_kafka or real) and (missing := missing_parts(StackKind.KAFKA)):
        missing[-1] += ". `make parts` fetches and builds what is missing."
        _leave_out(real, missing, refuse=on_kafka)
    in_containers = [item for item in items if item.get_closest_marker("containers")]
    if in_containers and (missing := missing_for_containers()):
        _leave_out(in_containers, missing)


def _leave_out(items: list[pytest.Item], missing: list[str], *, refuse: bool = False) -> None:
    reason = "; ".join(missing)
    if refuse or os.environ.get(_REQUIRED):
        raise pytest.UsageError(reason)
    for item in items:
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def stack_kind(request: pytest.FixtureRequest) -> StackKind:
    """What the services stand on."""
    return StackKind(request.config.getoption("--stack"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that is skipped, wherever and for whatever reason, has failed."""
    return _never_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In CI a module that is skipped has failed."""
    return _never_skipped((yield))


def _never_skipped(report: _Report) -> _Report:
    # A failure that is expected is reported as skipped too.
    if os.environ.get(_REQUIRED) and report.skipped and not hasattr(report, "wasxfail"):
        _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else (None, None, report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{reason}: with {_REQUIRED} set nothing is skipped"
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note on what each suite ran."""
    if report.when == "call":
        suite = Path(report.nodeid.split("::")[0]).parts[1]
        known = "containers" if "containers" in report.keywords else "real" if "real" in report.keywords else ""
        served = dict(report.user_properties).get("stack", _STACKS.get(known, "no stack"))
        _SERVED[suite].add(str(served))
        _COUNTED.update({name: int(str(count)) for name, count in report.user_properties if name in _NAMES})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which stack served which suite."""
    terminalreporter.section("which stack served which suite")
    for suite, stacks in sorted(_SERVED.items()):
        named = sorted(stacks - {"no stack"}) or ["no stack: in memory"]
        terminalreporter.write_line(f"{suite:>12}: {', '.join(named)}")
    for count, sentence in _SUMS.items():
        if _COUNTED[count]:
            terminalreporter.write_line(sentence.format_map(_COUNTED))
