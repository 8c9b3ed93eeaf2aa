"""Kafka and MongoDB in containers: one of each for a whole run, started when it is first asked for."""

import secrets
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from testcontainers.community.kafka import KafkaContainer
from testcontainers.community.mongodb import MongoDbContainer

from shared.settings import MongoSettings

#: The images that the product's own compose files name.
KAFKA_IMAGE = "apache/kafka:4.1.1"
MONGO_IMAGE = "mongo:8.0"
#: Who may do what: the product's own file, which makes a user for each program.
USERS = Path(__file__).parents[2] / "deploy" / "mongo" / "users.js"

_ROOT = "root"
_USERS = ("progress", "recalculator", "certificates", "ops")
#: How long a container may take on a machine that is busy with others.
_READY_SECONDS = 180
_STASH = pytest.StashKey["Containers"]()


class ApacheKafkaContainer(KafkaContainer):
    """Apache's own image, one KRaft node; the class it comes from drives Confluent's."""

    def __init__(self, image: str = KAFKA_IMAGE) -> None:
        super().__init__(image)
        self.with_kraft()

    def _verify_min_kraft_version(self) -> None:
        """Every version of this image has KRaft and nothing else."""

    def start(self, timeout: int = _READY_SECONDS) -> Self:
        """Start the broker and wait until it takes connections."""
        super().start(timeout)
        return self

    def tc_start(self) -> None:
        """Say where the broker is reached, which is known only now, and let the image start it."""
        outside = f"{self.listener_name}://{self.get_container_host_ip()}:{self.get_exposed_port(self.port)}"
        inside = "BROKER://$(hostname -i | cut -d' ' -f1):9092"
        script = f"export KAFKA_ADVERTISED_LISTENERS={outside},{inside}\nexec /etc/kafka/docker/run\n"
        self.create_file(script.encode(), self.TC_START_SCRIPT)


class MongoDatabases:
    """MongoDB with authentication on: databases in which each program has its own user, made by the product's file."""

    def __init__(self, stack: ExitStack) -> None:
        self._password = secrets.token_urlsafe()
        container = MongoDbContainer(MONGO_IMAGE, username=_ROOT, password=self._password)
        container.with_volume_mapping(str(USERS.parent), "/deploy", "ro")
        stack.callback(container.stop)  # also what did not start to its end
        self._container = container.start()
        self._address = f"{container.get_container_host_ip()}:{container.get_exposed_port(container.port)}"
        self._passwords = {name: secrets.token_urlsafe() for name in _USERS}
        self._prepared: set[str] = set()
        # Only the server that is there to stay is reached from outside; the image starts another one before it.
        with MongoClient[Any](
            self._uri(_ROOT, self._password, "admin"), serverSelectionTimeoutMS=_READY_SECONDS * 1000
        ) as root:
            root.admin.command("ping")

    def root(self, database: str) -> MongoSettings:
        """The settings that lead to this database as one who may do everything."""
        return _settings(self._uri(_ROOT, self._password, "admin"), database)

    def user(self, name: str, database: str) -> MongoSettings:
        """The settings that lead to this database as a service, or as `ops`; after `prepare`."""
        return _settings(self._uri(name, self._passwords[name], database), database)

    def prepare(self, database: str) -> None:
        """Make the users of this database once, as `docker compose` does at every start."""
        if database in self._prepared:
            return
        environment = {"MONGO_HOST": "127.0.0.1", "MONGO_ROOT_PASSWORD": self._password, "MONGO_DATABASE": database}
        environment |= {f"MONGO_{name.upper()}_PASSWORD": password for name, password in self._passwords.items()}
        command = ["mongosh", "--nodb", "--quiet", f"/deploy/{USERS.name}"]
        code, output = self._container.get_wrapped_container().exec_run(command, environment=environment)
        assert code == 0, output.decode()
        self._prepared.add(database)

    def _uri(self, user: str, password: str, source: str) -> str:
        return f"mongodb://{user}:{quote(password)}@{self._address}/?authSource={source}&directConnection=true"


def _settings(uri: str, database: str) -> MongoSettings:
    return MongoSettings(uri=SecretStr(uri), database=database)


class Containers:
    """The containers of one run."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    @cached_property
    def bootstrap_servers(self) -> str:
        """Where the broker is; its topics are made by whoever needs them."""
        container = ApacheKafkaContainer()
        self._stack.callback(container.stop)  # also what did not start to its end
        return str(container.start().get_bootstrap_server())

    @cached_property
    def mongo(self) -> MongoDatabases:
        """The database server."""
        return MongoDatabases(self._stack)

    def close(self) -> None:
        """Remove them."""
        self._stack.close()


def containers_of(config: pytest.Config) -> Containers:
    """The containers of this run; they end with it, however it ends."""
    if _STASH not in config.stash:
        config.stash[_STASH] = Containers()
        config.add_cleanup(config.stash[_STASH].close)
    return config.stash[_STASH]
