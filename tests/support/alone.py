"""One service alone, as its own process, on Kafka and MongoDB in containers; the tests are its neighbours."""

import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.development import DevelopmentIdentity
from ops.platform.indexes import prepare_indexes
from ops.stacks import RunningStack, StackKind, start_stack
from shared.contracts import envelope
from shared.contracts.topics import consumed_by, dead_letters_of
from shared.kafka.provisioning import create_missing
from shared.mongo.client import Database, connect, database
from shared.settings import PREFIX, KafkaSettings, MongoSettings
from tests.support.campus import Campus
from tests.support.conformity import check_published, conforming
from tests.support.containers import Containers
from tests.support.gateway import Gateway, Seen

DATABASE = "lesson_progress"
_SOURCE = "/services/neighbour"


@dataclass
class Neighbourhood:
    """The containers with topics, indexes and users, and what every neighbour of a service can do."""

    stack: RunningStack
    gateway: Gateway
    #: What others write, as one who may do everything.
    db: Database
    campus: Campus
    users: Mapping[str, MongoSettings]

    @asynccontextmanager
    async def alone(self, service: str) -> AsyncIterator["Alone"]:
        """This service and no other, with its own database user; whatever it published is as its contract says."""
        uri = {f"{PREFIX}MONGO__URI": self.users[service].uri.get_secret_value()}
        began = len(self.gateway._seen)
        with only({}):
            await self.stack.start_service(service, extra_environment=uri)
        try:
            yield Alone(service, self)
        finally:
            assert await self.stack.stop_service(service) == 0
        for record in self.gateway._seen[began:]:
            if record.topic not in (*consumed_by(service), dead_letters_of(service)):  # which neighbours write
                check_published(record, service)


@dataclass
class Alone:
    """A service that runs, and its neighbours."""

    service: str
    around: Neighbourhood

    @property
    def gateway(self) -> Gateway:
        return self.around.gateway

    @property
    def campus(self) -> Campus:
        return self.around.campus

    async def documents(self, collection: str, **query: Any) -> list[dict[str, Any]]:
        """The documents that stand."""
        found: list[dict[str, Any]] = await self.around.db[collection].find(query).to_list(None)
        return found

    async def told(self, topic: str, message_type: str, data: Mapping[str, Any], *, key: str) -> None:
        """Publish an event as the neighbour does that it comes from."""
        value = json.dumps(conforming(message_type, data)).encode()
        cause = envelope.Cause(correlation="click-1", causation="cause-1")
        headers = envelope.write(
            event_type=message_type, event_id=f"{message_type}:{key}", source=_SOURCE, time=0, cause=cause
        )
        await self.gateway.send(topic, value, key=key.encode(), headers=list(headers))

    async def poisoned(self, topic: str, message_type: str) -> None:
        """Send a record that nobody can read, and see it become a dead letter, byte for byte."""
        value, key = b'{"cut": \xff\x00', f"poison-{topic}".encode()
        headers: list[tuple[str, bytes | None]] = [("ce_type", message_type.encode()), ("Own", b"\xfe"), ("none", None)]
        if topic.endswith(".commands"):
            headers.append(("authorization", f"Bearer {self.gateway.token('someone', operator=True)}".encode()))

        await self.gateway.send(topic, value, key=key, headers=headers, partition=0)

        letter = await self.gateway.dead_letter(self.service, lambda s: s.key == key)
        assert letter.raw == value
        assert list(letter.record.headers[: len(headers)]) == headers
        appended = dict(letter.record.headers[len(headers) :])
        assert all(name.startswith("x-dead-letter-") for name in appended)
        assert (appended["x-dead-letter-topic"], appended["x-dead-letter-partition"]) == (topic.encode(), b"0")
        assert appended["x-dead-letter-group"] == self.service.encode()


def same(first: Seen, other: Seen) -> bool:
    """Whether two records are the same event: their bytes and what of their headers makes them one."""
    own = ("ce_id", "ce_type", "ce_source", "ce_time")
    return (first.key, first.raw, *map(first.headers.get, own)) == (other.key, other.raw, *map(other.headers.get, own))


@contextmanager
def only(settings: Mapping[str, str]) -> Iterator[None]:
    """Let these settings stand in the environment in place of whoever's runs the tests, until the end of the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            patch.delenv(name)
        for name, value in settings.items():
            patch.setenv(name, value)
        yield


@asynccontextmanager
async def neighbourhood(containers: Containers, directory: Path) -> AsyncIterator[Neighbourhood]:
    """The containers made ready, with no service yet."""
    mongo = containers.mongo
    mongo.prepare(DATABASE)
    users = {name: mongo.user(name, DATABASE) for name in ("progress", "recalculator", "certificates", "ops")}
    identity = DevelopmentIdentity.create(directory)
    environment = {
        "KAFKA__BOOTSTRAP_SERVERS": containers.bootstrap_servers,
        "KAFKA__FETCH_MAX_WAIT_MS": "50",
        "MONGO__URI": users["ops"].uri.get_secret_value(),
        "MONGO__DATABASE": DATABASE,
        "AUTH__JWKS": str(identity.key_set),
    }
    await create_missing(KafkaSettings(bootstrap_servers=containers.bootstrap_servers))
    root, platform = connect(mongo.root(DATABASE), service="test"), connect(users["ops"], service="ops")
    try:
        await prepare_indexes(database(platform, users["ops"]))
        db = database(root, mongo.root(DATABASE))
        async with AsyncExitStack() as resources:
            with only({f"{PREFIX}{name}": value for name, value in environment.items()}):
                stack = await resources.enter_async_context(start_stack(StackKind.EXTERNAL, services=()))
            gateway = await resources.enter_async_context(
                Gateway(containers.bootstrap_servers, identity, stack.http_url)
            )
            yield Neighbourhood(stack, gateway, db, Campus(db), users)
    finally:
        platform.close()
        root.close()
