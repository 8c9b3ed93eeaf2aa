"""What every suite shares: on which stack it runs, and a closing line that says which stack served which suite."""

import os
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import settings

from ops.stacks import StackKind, missing_parts

_SERVED: defaultdict[str, set[str]] = defaultdict(set)
_HERE = Path(__file__).parent

#: A machine that is busy for a moment is no defect: no example is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stack", choices=["embedded", "kafka"], default="embedded", help="what the services stand on in these tests"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs real parts where they are missing; in CI a missing part is a failure."""
    missing = missing_parts(StackKind.KAFKA)
    wanted = config.getoption("--stack") == "kafka" or any(item.get_closest_marker("real") for item in items)
    if not (missing and wanted):
        return
    if os.environ.get("LESSON_PROGRESS_REQUIRE_REAL") or config.getoption("--stack") == "kafka":
        raise pytest.UsageError("; ".join(missing) + ". `make parts` fetches and builds what is missing.")
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(pytest.mark.skip(reason="; ".join(missing)))


@pytest.fixture(scope="session")
def stack_kind(request: pytest.FixtureRequest) -> StackKind:
    """What the services stand on."""
    return StackKind(request.config.getoption("--stack"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note on what each suite ran."""
    if report.when == "call":
        suite = Path(report.nodeid.split("::")[0]).parts[1]
        real = "real" in report.keywords
        served = dict(report.user_properties).get("stack", "Apache Kafka and the Rust server" if real else "no stack")
        _SERVED[suite].add(str(served))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which stack served which suite."""
    terminalreporter.section("which stack served which suite")
    for suite, stacks in sorted(_SERVED.items()):
        named = sorted(stacks - {"no stack"}) or ["no stack: in memory"]
        terminalreporter.write_line(f"{suite:>12}: {', '.join(named)}")
