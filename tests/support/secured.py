"""The composed system over SASL_SSL and TLS: its passwords, what its services say, and the broker's own tools in it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.settings import KafkaSettings
from tests.support.composed import BASE, ROOT, Composed, docker, project

_FOLDER = ROOT / "deploy" / "compose"
_FILES = (BASE, "deploy/compose/secure.yml")
#: Makes a stand-in for MongoDB speak TLS by its own options.
_STAND_IN = "tests/containers/stand_in_tls.yml"


@dataclass(frozen=True, slots=True)
class Secured:
    """A composed system over SASL_SSL and TLS."""

    system: Composed
    passwords: dict[str, str]

    def settings(self, principal: str) -> KafkaSettings:
        """How a program on this machine logs in as this principal."""
        return KafkaSettings(
            bootstrap_servers=f"127.0.0.1:{self.system.environment['KAFKA_PORT']}",
            security_protocol="SASL_SSL",
            username=principal,
            password=self.passwords[f"KAFKA_{principal.upper()}_PASSWORD"],
            ca_file=str(_FOLDER / "secure" / "ca.pem"),
        )

    def refusal(self, *options: str) -> str:
        """Why progress ends when it is started with these options of `docker compose run`."""
        run = ("run", "--rm", "--no-TTY", "--no-deps", *options, "progress")
        ended = self.system.compose(*run, seconds=120)
        assert ended.code == 1, ended.out + ended.err
        [reason] = reasons(ended.out)
        return reason

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


def reasons(log: str) -> list[str]:
    """Why services ended, from their log lines; a name before a line, as compose writes it, is passed over."""
    found = []
    for line in log.splitlines():
        start = line.find("{")
        if start >= 0 and '"service.failed"' in line:
            found.append(str(json.loads(line[start:])["reason"]))
    return found


@contextmanager
def secured() -> Iterator[Secured]:
    """A secured system, healthy; removed at the end of the block. Its image must be there."""
    subprocess.run(["sh", str(_FOLDER / "certificates.sh")], check=True, capture_output=True)  # noqa: S603, S607 - our own
    lines = (_FOLDER / "secure" / "passwords.env").read_text().splitlines()
    passwords = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    stand_in = docker("run", "--rm", "--entrypoint", "sh", "mongo:8.0", "-c", "command -v secantusd-rs").code == 0
    with project(*_FILES, *([_STAND_IN] if stand_in else []), environment=passwords) as system:
        system.up(seconds=400)
        yield Secured(system, passwords)
