"""The image: small, unprivileged, with what the product needs and nothing else, and it ends when it is told to."""

import json
import secrets
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ops.target import OperatorSettings
from tests.support.composed import ROOT, docker

BASE_IMAGE = "python:3.11-slim-bookworm"
IN_THE_IMAGE = """
import importlib.metadata as m, json
print(json.dumps(sorted({d.metadata["Name"] for d in m.distributions()})))
"""
#: Makes one certificate; the workers are processes of their own.
TYPESET = """
import asyncio
from datetime import date
from services.certificates.render.page import CertificatePage
from services.certificates.render.workers import Renderer

async def main():
    renderer = Renderer(workers=1)
    await renderer.start()
    page = CertificatePage("id", "Ada Lovelace", "Engines", None, date(2024, 1, 1), "http://127.0.0.1/")
    [pdf] = await renderer.render_many([page])
    await renderer.close()
    print(pdf[:5].decode())

if __name__ == "__main__":
    asyncio.run(main())
"""
UNPRIVILEGED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true")  # noqa: S108

#: The first to ask for the image waits until it is built.
pytestmark = pytest.mark.timeout(300, func_only=True)
containers = pytest.mark.containers


def run(image: str, *command: str, options: tuple[str, ...] = ()) -> str:
    ended = docker("run", "--rm", *options, image, *command)
    assert ended.code == 0, ended.err
    return ended.out


def described(image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("image", "inspect", image).out)[0]
    return found


def needed_by(name: str) -> set[str]:
    """Every package that this one needs to run on Linux, itself included, by what the packages themselves say."""
    found: set[str] = set()
    waiting: list[tuple[str, frozenset[str]]] = [(canonicalize_name(name), frozenset())]
    while waiting:
        package, extras = waiting.pop()
        found.add(package)
        for line in distribution(package).requires or ():
            wanted = Requirement(line)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": e}) for e in extras or {""}):
                following = (str(canonicalize_name(wanted.name)), frozenset(wanted.extras))
                if following[0] not in found or following[1]:
                    waiting.append(following)
    return found


def test_the_dockerfile_pleases_hadolint() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"

    ended = subprocess.run(  # noqa: S603 - our own file
        [hadolint, "deploy/docker/Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stdout) == (0, "")


@containers
def test_the_image_adds_less_than_150_mb_to_its_base(
    image: str, record_property: Callable[[str, object], None]
) -> None:
    added = (described(image)["Size"] - described(BASE_IMAGE)["Size"]) / 1e6
    record_property("megabytes", round(added))

    assert added < 150


@containers
def test_the_image_holds_the_products_packages_and_no_other(image: str) -> None:
    found = {canonicalize_name(name) for name in json.loads(run(image, "python", "-c", IN_THE_IMAGE))}

    assert found == needed_by("lesson-progress")


@containers
def test_the_image_holds_no_installer_no_compiler_and_no_tests(image: str) -> None:
    places = "/build /tests /opt/lesson-progress/lib/python3.11/site-packages/tests /usr/local/lib/python3.11/ensurepip"
    tools = "pip pip3 uv gcc cc ld strip make curl wget git"
    search = f"for tool in {tools}; do command -v $tool; done; ls -d {places} 2>/dev/null; true"

    assert run(image, "sh", "-c", search) == ""


@containers
def test_the_image_says_what_it_is_and_runs_as_nobody_in_particular(image: str) -> None:
    config = described(image)["Config"]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["tini", "--"]
    assert (labels["title"], labels["licenses"], labels["version"]) == (
        "Lesson Progress",
        project["license"],
        project["version"],
    )
    assert labels["description"]
    assert labels.keys() >= {"source", "revision"}
    assert run(image, "lesson-progress", "--version").strip() == project["version"]


@containers
def test_the_image_listens_where_the_services_do_by_default(image: str) -> None:
    config, defaults = described(image)["Config"], OperatorSettings()
    environment = dict(line.split("=", 1) for line in config["Env"])

    ports = {name: getattr(defaults, name).http.port for name in ("progress", "recalculator", "certificates")}
    assert {f"{port}/tcp" for port in ports.values()} == config["ExposedPorts"].keys()
    for name, port in ports.items():
        assert environment[f"LESSON_PROGRESS_{name.upper()}__HTTP__PORT"] == str(port)


@containers
def test_certificates_are_typeset_on_a_file_system_that_is_only_read(image: str, tmp_path: Path) -> None:
    # spawned workers import the file that began it
    program = tmp_path / "typeset.py"
    program.write_text(TYPESET)
    tmp_path.chmod(0o755)

    assert run(image, "python", "/p/typeset.py", options=(*UNPRIVILEGED, "-v", f"{tmp_path}:/p:ro")).strip() == "%PDF-"


@pytest.fixture
def container() -> Iterator[str]:
    name = f"lesson-progress-test-{secrets.token_hex(4)}"
    yield name
    docker("rm", "--force", "--volumes", name)


@containers
def test_a_service_that_is_still_starting_ends_at_once_when_docker_stops_it(image: str, container: str) -> None:
    # Process 1 ignores a signal that it has no handler for: Docker would wait, and kill.
    docker("run", "--detach", "--name", container, *UNPRIVILEGED, image, "python", "-m", "services.progress")

    docker("stop", "--time", "60", container)

    assert ended_with(container) in {143, 0}


@containers
def test_health_is_the_answer_of_the_service_that_runs(image: str, container: str) -> None:
    # Without a broker and a database it serves HTTP and waits: alive, and not ready.
    docker("run", "--detach", "--name", container, *UNPRIVILEGED, image, "python", "-m", "services.certificates")
    waits = docker("exec", container, "sh", "-c", PATIENTLY)

    assert waits.code == 0, waits.err
    asked = docker("exec", container, *described(image)["Config"]["Healthcheck"]["Test"][1:])
    assert asked.code == 1
    assert '"not ready"' in asked.out


#: Waits until something listens, then ends.
PATIENTLY = """python - <<'E'
import socket, time
end = time.monotonic() + 60
while time.monotonic() < end:
    with socket.socket() as s:
        if s.connect_ex(("127.0.0.1", 8083)) == 0:
            raise SystemExit(0)
    time.sleep(0.1)
raise SystemExit("nothing listens")
E"""


def ended_with(container: str) -> int:
    return int(json.loads(docker("inspect", container).out)[0]["State"]["ExitCode"])
