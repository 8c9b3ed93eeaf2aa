"""Database servers for store suites: in Python, in Rust, and the image's in a container, each service its own user."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import MongoClient

from ops.stacks import secantus
from ops.stacks.home import open_home
from ops.stacks.ports import Ports
from ops.stacks.programs import Programs
from shared.mongo.client import Database, connect, database
from shared.settings import MongoSettings
from tests.support.containers import MongoDatabases, containers_of
from tests.support.parts import needs

_STOP_SECONDS = 10.0
#: The database in the container, emptied for each test: the users' rights are for one of this name.
_CONTAINED = "stores"

#: Every server a store suite runs on.
SERVERS = ("python", "rust", pytest.param("container", marks=pytest.mark.containers))
_NAMES = {"python": "SecantusDB (Python)", "rust": "SecantusDB (Rust)"}
#: By which a server that only speaks MongoDB's protocol says what it is.
_OTHER = "secantusVersion"


def contained_name(mongo: MongoDatabases) -> str:
    """What the server in the container says it is: the image's name need not tell."""
    with MongoClient[Any](mongo.root(_CONTAINED).uri.get_secret_value()) as root:
        said = root.server_info()
    return (
        f"SecantusDB {said[_OTHER]} in a container" if _OTHER in said else f"MongoDB {said['version']} in a container"
    )


@dataclass(frozen=True, slots=True)
class Room:
    """An empty database."""

    #: As the service reaches it.
    own: Database
    settings: MongoSettings
    #: As those who write beside the service reach it.
    platform: Database


class Servers:
    """Database servers, each started when it is first asked for."""

    def __init__(self, stack: AsyncExitStack, config: pytest.Config) -> None:
        self._stack = stack
        self._config = config
        self._running: dict[str, MongoSettings] = {}
        self._names = dict(_NAMES)

    @asynccontextmanager
    async def room(self, kind: str, service: str, **options: Any) -> AsyncIterator[Room]:
        """An empty database for a store of this service, on the server of this kind."""
        as_service, as_platform = await self._settings(kind, service)
        as_service = as_service.model_copy(update=options)
        clients = connect(as_service, service=service), connect(as_platform, service="test")
        try:
            own, platform = database(clients[0], as_service), database(clients[1], as_platform)
            for collection in await platform.list_collection_names():  # what an earlier test has left in a fixed one
                await platform.drop_collection(collection)
            yield Room(own, as_service, platform)
        finally:
            for client in clients:
                client.close()

    def name(self, kind: str) -> str:
        """What to call it in the summary of a run."""
        if kind not in self._names:
            self._names[kind] = contained_name(containers_of(self._config).mongo)
        return self._names[kind]

    async def _settings(self, kind: str, service: str) -> tuple[MongoSettings, MongoSettings]:
        if kind == "container":
            mongo = containers_of(self._config).mongo
            mongo.prepare(_CONTAINED)
            return mongo.user(service, _CONTAINED), mongo.root(_CONTAINED)
        own = (await self._local(kind)).model_copy(update={"database": f"{service}_{secrets.token_hex(6)}"})
        return own, own

    async def _local(self, kind: str) -> MongoSettings:
        if kind == "rust":
            needs(secantus.rust_server_missing())
        if kind not in self._running:
            self._running[kind] = await self._stack.enter_async_context(_local_server(kind))
        return self._running[kind]


@asynccontextmanager
async def servers_of(config: pytest.Config) -> AsyncIterator[Servers]:
    """Database servers that end with the block; the container ends with the run."""
    async with AsyncExitStack() as stack:
        yield Servers(stack, config)


@asynccontextmanager
async def _local_server(kind: str) -> AsyncIterator[MongoSettings]:
    start, environment = {
        "rust": (secantus.rust_server, secantus.RUST_SETTINGS),
        "python": (secantus.python_server, secantus.PYTHON_SETTINGS),
    }[kind]
    options: dict[str, Any] = {name.rpartition("MONGO__")[2].lower(): value for name, value in environment.items()}
    async with open_home(None) as home:
        programs = Programs(home.path, home.logs, home.warden, lambda _: None)
        program = start(home, port=Ports({}).of("database"))
        await programs.start(program)
        try:
            yield MongoSettings(uri=SecretStr(f"mongodb://{program.address}/?directConnection=true"), **options)
        finally:
            await programs.stop(program.name, timeout=_STOP_SECONDS)
