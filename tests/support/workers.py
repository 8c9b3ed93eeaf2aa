"""How the workers of a run share it: what uses one system stays with one worker, what takes long is begun first."""

import os
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from xdist.scheduler import LoadScopeScheduling

#: Folders whose tests share a system.
_TOGETHER = ("tests/containers/secured", "tests/contract/gateways", "tests/contract/services")
#: What takes minutes. The cluster, whose replicas start again all the time, goes beside what mostly waits; what keeps
#: both cores busy comes after it, and at the end small ones even things out.
_BEGUN_FIRST = (
    "tests/containers/test_cluster.py",
    "tests/e2e/test_command_line.py",
    "tests/e2e/test_dead_letters.py",
    "tests/e2e/test_audit.py",
    "tests/e2e/test_http_contracts.py",
    "tests/e2e",
    "tests/containers/test_bad_input.py",
    "tests/containers/test_prometheus.py",
    "tests/containers/secured",
    "tests/e2e/test_killed_services.py",
    "tests/containers/test_compose.py",
    "tests/contract/gateways",
    "tests/contract/services",
)


def share_of(nodeid: str) -> str:
    """What one worker does alone: a file of tests, or a folder of them that share a system."""
    file = nodeid.partition("::")[0]
    return next((folder for folder in _TOGETHER if PurePosixPath(file).is_relative_to(folder)), file)


def turn_of(nodeid: str) -> int:
    """When a test's share is begun, the first at 0: as its file is named, or the folder it is in."""
    file = PurePosixPath(nodeid.partition("::")[0])
    named = [path for path in _BEGUN_FIRST if file.is_relative_to(path)]
    return _BEGUN_FIRST.index(max(named, key=len)) if named else len(_BEGUN_FIRST)


def ports_of_this_worker(ports: range) -> range:
    """The part of these ports that is for this worker; a run has ten at most."""
    worker, part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")), len(ports) // 10
    return ports[worker * part : (worker + 1) * part]


class Shares(LoadScopeScheduling):  # type: ignore[misc] # the plugin says nothing of its types
    """Gives each worker one share after the other, in the order in which they were collected."""

    def __init__(self, config: Any, log: Callable[..., None]) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)
