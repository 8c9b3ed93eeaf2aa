"""The composed system over SASL_SSL and TLS: its passwords, what its services say, and the broker's own tools in it."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.settings import KafkaSettings
from tests.support.composed import BASE, ROOT, Composed, docker, project

_CERTIFICATES = ROOT / "deploy" / "compose" / "certificates.sh"
_FILES = (BASE, "deploy/compose/secure.yml")
#: Makes a stand-in for MongoDB speak TLS by its own options.
_STAND_IN = "tests/containers/secured/stand_in_tls.yml"


@dataclass(frozen=True, slots=True)
class Secured:
    """A composed system over SASL_SSL and TLS."""

    system: Composed
    #: The authority, certificates and passwords.
    folder: Path
    passwords: Mapping[str, str]

    @property
    def authority(self) -> Path:
        """The certificate that its programs trust."""
        return self.folder / "ca.pem"

    def settings(self, principal: str) -> KafkaSettings:
        """How a program on this machine logs in as this principal."""
        return KafkaSettings(
            bootstrap_servers=f"127.0.0.1:{self.system.environment['KAFKA_PORT']}",
            security_protocol="SASL_SSL",
            username=principal,
            password=self.passwords[f"KAFKA_{principal.upper()}_PASSWORD"],
            ca_file=str(self.authority),
        )

    @contextmanager
    def another(self, *options: str) -> Iterator["Another"]:
        """Another replica of progress, with these options of `docker compose run`; removed with the block."""
        name = f"{self.system.name}-another"
        run = ("run", "--detach", "--no-deps", "--name", name, *options, "progress")
        try:
            started = self.system.compose(*run)
            assert started.code == 0, started.err
            yield Another(name)
        finally:
            docker("rm", "--force", name)

    def refusal(self, *options: str) -> str:
        """Why progress ends when it is started with these options of `docker compose run`."""
        with self.another(*options) as replica:
            return replica.refusal()

    def rights(self, *arguments: str) -> None:
        """Run the broker's `kafka-acls.sh` as its administrator."""
        tool = ("--entrypoint", "/opt/kafka/bin/kafka-acls.sh", "principals")
        admin = ("--bootstrap-server", "kafka:9094", "--command-config", "/secure/admin.properties")
        ended = self.system.compose("run", "--rm", "--no-TTY", "--no-deps", *tool, *admin, *arguments)
        assert ended.code == 0, ended.out + ended.err

    def health(self, service: str) -> str:
        """What Docker says of a service's container: starting, healthy, unhealthy."""
        [container] = self.system.containers(service)
        return str(container["State"]["Health"]["Status"])


@dataclass(frozen=True, slots=True)
class Another:
    """A replica in a container of its own."""

    name: str

    def refusal(self) -> str:
        """Why it ends, once it has ended."""
        ended = docker("wait", self.name, seconds=120)
        said = docker("logs", self.name).out
        assert ended.out.strip() == "1", said
        [reason] = reasons(said)
        return reason

    def again(self) -> None:
        """Start it as it is, once it has ended."""
        started = docker("start", self.name)
        assert started.code == 0, started.err

    def runs(self) -> bool:
        """Whether it has got everything it needs, and works."""
        return '"service.started"' in docker("logs", self.name).out


def reasons(log: str) -> list[str]:
    """Why services ended, from their log lines; a name before a line, as compose writes it, is passed over."""
    found = []
    for line in log.splitlines():
        start = line.find("{")
        if start >= 0 and '"service.failed"' in line:
            found.append(str(json.loads(line[start:])["reason"]))
    return found


@contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """A secured system, healthy, its certificates in this folder; removed with the block. Its image must be there."""
    subprocess.run(["sh", _CERTIFICATES, folder], check=True, capture_output=True)  # noqa: S603, S607 - our own
    lines = (folder / "passwords.env").read_text().splitlines()
    passwords = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    environment = {**passwords, "SECURE_DIR": str(folder)}
    stand_in = docker("run", "--rm", "--entrypoint", "sh", "mongo:8.0", "-c", "command -v secantusd-rs").code == 0
    with project(*_FILES, *([_STAND_IN] if stand_in else []), environment=environment) as system:
        system.up(seconds=400)
        yield Secured(system, folder, passwords)
