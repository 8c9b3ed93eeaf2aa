"""The composed system for tests: projects of their own names and free ports, which leave nothing behind."""

import fcntl
import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ops.stacks.ports import Ports
from tests.support.workers import ports_of_this_worker

ROOT = Path(__file__).parents[2]
BASE = "docker-compose.yml"
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
#: What the composed system and its tests stand on.
IMAGES = ("python:3.11-slim-bookworm", "apache/kafka:4.1.1", "mongo:8.0")
#: The tag under which tests build the product's image, so that nobody's own is replaced.
TAG = "tests"
IMAGE = f"lesson-progress:{TAG}"
#: Replicas that a test may ask for, of each service.
_REPLICAS = 3
#: The ports of all projects of a run, by project and variable: what has stopped for a while keeps its own, and no other
#: worker of the run, and no stack, may take it meanwhile.
_PORTS = Ports({}, among=ports_of_this_worker(range(12_000, 20_000)))
#: How much of a start's time is for waiting until all is healthy; the rest is for making containers.
_WAITING = 0.8


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


def docker(*arguments: str, environment: Mapping[str, str] | None = None, seconds: float = 300) -> Ended:
    """Run `docker` in the project's folder; with these variables beside the machine's own.

    What compose files ask for comes from the test alone, never from the shell of whoever runs it.
    """
    shell = {name: value for name, value in os.environ.items() if not _is_the_projects(name)}
    command = ["docker", *arguments]
    ended = subprocess.run(  # noqa: S603 - arguments of tests
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**shell, **(environment or {})},
        timeout=seconds,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def missing_for_containers() -> list[str]:
    """What tests in containers need and this machine lacks, in sentences; empty when everything is there."""
    if shutil.which("docker") is None:
        return ["Docker is not installed"]
    if (daemon := docker("version", "--format", "{{.Server.Version}}")).code:
        return [f"no Docker daemon answers ({_last_line(daemon.err)})"]
    if docker("compose", "version").code:
        return ["Docker has no compose plugin"]
    return [
        f"the image {name} is missing: `docker pull {name}`" for name in IMAGES if docker("image", "inspect", name).code
    ]


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _is_the_projects(variable: str) -> bool:
    # Which builder compose drives is the machine's own matter.
    return variable in _asked_for() or (variable.startswith("COMPOSE_") and variable != "COMPOSE_BAKE")


@cache
def _asked_for() -> frozenset[str]:
    """The variables that the product's compose files ask for."""
    files = (ROOT / BASE, *(ROOT / "deploy" / "compose").glob("*.yml"))
    return frozenset(name for file in files for name in re.findall(r"\$\{(\w+)", file.read_text()))


@dataclass(frozen=True, slots=True)
class Composed:
    """One compose project: its files, and what its variables are."""

    name: str
    files: Sequence[str]
    environment: Mapping[str, str]

    def compose(self, *arguments: str, seconds: float = 300, also: Mapping[str, str] | None = None) -> Ended:
        """Run `docker compose` on this project; `also` are variables for this once."""
        files = [word for file in self.files for word in ("--file", file)]
        # Whoever runs the tests may have an .env of their own.
        fixed = ("compose", "--env-file", os.devnull, "--project-name", self.name, *files)
        return docker(*fixed, *arguments, environment={**self.environment, **(also or {})}, seconds=seconds)

    def up(self, *arguments: str, seconds: float = 300) -> None:
        """Start it, or these services of it, and wait until it is healthy."""
        patience = ("--wait", "--wait-timeout", str(int(seconds * _WAITING)))
        started = self.compose("up", "--detach", *patience, *arguments, seconds=seconds)
        assert started.code == 0, f"{started.err}\n{self.compose('logs', '--no-color', '--tail', '10').out}"

    def ops(self, *arguments: str, seconds: float = 300) -> Ended:
        """Run the operator's command in it."""
        return self.compose("run", "--rm", "--no-TTY", "ops", *arguments, seconds=seconds)

    def logs(self, *services: str) -> str:
        """What its containers, or those of these services, have written."""
        return self.compose("logs", "--no-color", *services).out

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """Its containers, or those of these services, ended ones too, as `docker inspect` describes them."""
        ids = self.compose("ps", "--all", "--quiet", *services).out.split()
        found: list[dict[str, Any]] = json.loads(docker("inspect", *ids).out) if ids else []
        return found

    def address(self, service: str, port: int, *, index: int = 1) -> str:
        """Where a replica's port is published, as host:port."""
        return self.compose("port", "--index", str(index), service, str(port)).out.strip()

    def execute(self, service: str, *command: str, index: int = 1) -> Ended:
        """Run a command in a replica's container."""
        return self.compose("exec", "--no-TTY", "--index", str(index), service, *command)

    def down(self) -> None:
        """End it and remove all that it made; images stay.

        Raises:
            AssertionError: something of it is left.
        """
        ended = self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "15")
        left = self.left()
        assert (ended.code, left) == (0, []), f"{ended.err}\n{left}"

    def left(self) -> list[str]:
        """The containers, volumes and networks that are there of it."""
        of_it = ("--quiet", "--filter", f"label=com.docker.compose.project={self.name}")
        kinds = (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
        return [f"{words[0]} {found}" for words in kinds for found in docker(*words, *of_it).out.split()]


def make_project(*files: str, environment: Mapping[str, str] | None = None) -> Composed:
    """A project of these files (default: the base alone) with a name and ports of its own; nothing is started."""
    name = f"lesson-progress-test-{secrets.token_hex(4)}"
    variables = {"IMAGE_TAG": TAG}
    for variable in ("KAFKA_PORT", "KAFKA_2_PORT", "KAFKA_3_PORT", "PROMETHEUS_PORT", "MAIL_PORT"):
        variables[variable] = str(_PORTS.of(f"{name} {variable}"))
    for variable in ("PROGRESS_PORTS", "RECALCULATOR_PORTS", "CERTIFICATES_PORTS"):
        ports = _PORTS.row(f"{name} {variable}", _REPLICAS)
        variables[variable] = f"{ports[0]}-{ports[-1]}"
    variables |= {"PUBLIC_URL": "http://127.0.0.1", **(environment or {})}
    return Composed(name, files or (BASE,), variables)


@contextmanager
def project(*files: str, environment: Mapping[str, str] | None = None) -> Iterator[Composed]:
    """A project as `make_project` makes it, removed with its volumes at the end of the block, however it ends."""
    made = make_project(*files, environment=environment)
    try:
        yield made
    finally:
        made.down()


def build_image() -> str:
    """Build the product's image as compose does, one worker after the other; answers its name."""
    with DOCKERFILE.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        built = make_project().compose("build", "topics", seconds=900)
    assert built.code == 0, f"{built.out}\n{built.err}"
    return IMAGE
