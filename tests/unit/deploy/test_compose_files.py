"""The compose files, as compose reads them without a daemon: what the example of settings does to them, and images."""

import json
import os
import re
import shutil
import subprocess
from functools import cache
from typing import Any

import pytest

from tests.support.composed import BASE, ROOT

CLUSTER = "deploy/compose/cluster.yml"
EXAMPLE = ".env.example"
FILES = [(BASE,), (BASE, CLUSTER)]
_ASKED_FOR = re.compile(r"\$\{(\w+):-([^}$]*)\}")


@cache
def has_compose() -> bool:
    """Whether there is a compose plugin; a daemon is not needed."""
    if shutil.which("docker") is None:
        return False
    asked = ["docker", "compose", "version"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0  # noqa: S603 - our own words


def read(files: tuple[str, ...], settings: str = os.devnull) -> dict[str, Any]:
    """What compose makes of its files and these settings alone, every profile included."""
    if not has_compose():
        if os.environ.get("LESSON_PROGRESS_REQUIRE_REAL"):
            pytest.fail("Docker has no compose plugin")
        pytest.skip("Docker has no compose plugin")
    named = [word for file in files for word in ("--file", file)]
    command = ["docker", "compose", "--env-file", settings, *named, "--profile", "*", "config", "--format", "json"]
    alone = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ended = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)  # noqa: S603
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@pytest.mark.parametrize("files", FILES, ids=["one machine", "cluster"])
def test_a_copy_of_the_example_of_settings_changes_nothing(files: tuple[str, ...]) -> None:
    assert read(files, EXAMPLE) == read(files)


def test_the_example_of_settings_names_every_variable_with_its_default() -> None:
    base, cluster = (dict(_ASKED_FOR.findall((ROOT / file).read_text())) for file in (BASE, CLUSTER))
    # The cluster has other defaults where replicas need them; PUBLIC_URL's default is made of another's.
    expected = cluster | base | {"PUBLIC_URL": f"http://127.0.0.1:{base['CERTIFICATES_PORTS']}"}

    named = re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", (ROOT / EXAMPLE).read_text(), re.MULTILINE)

    assert dict(named) == expected
    assert len(named) == len(expected)


def test_the_cluster_has_a_port_for_each_replica() -> None:
    for name, service in read((BASE, CLUSTER))["services"].items():
        for port in service.get("ports", []):
            first, _, last = port["published"].partition("-")
            assert int(last or first) - int(first) + 1 >= service.get("scale", 1), name


@pytest.mark.parametrize("files", FILES, ids=["one machine", "cluster"])
def test_every_start_builds_what_has_changed_once_for_all(files: tuple[str, ...]) -> None:
    services = read(files)["services"]
    policies = {name: s["pull_policy"] for name, s in services.items() if s["image"].startswith("lesson-progress:")}

    assert [name for name, service in services.items() if "build" in service] == ["topics"]
    assert policies.pop("topics") == "build"
    assert set(policies.values()) == {"never"}
    # Whoever starts a service starts what it needs, and so what builds.
    for name in policies.keys() - {"identity", "ops"}:
        assert "topics" in services[name]["depends_on"], name
