"""The store three times: in memory, on the database server in Python, on the one in Rust where it is installed."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from ops.platform.indexes import prepare_indexes
from ops.stacks import secantus
from ops.stacks.home import open_home
from ops.stacks.ports import Ports
from ops.stacks.programs import Programs
from services.recalculator.storage import MongoRecalculatorStore
from shared.mongo.client import connect, database
from shared.settings import MongoSettings
from tests.support.fakes_recalculator import FakeRecalculatorStore
from tests.support.recalculator_worlds import MongoPlatform, RealWorld, World

_STOP_SECONDS = 10.0


class Servers:
    """Database servers, each started when it is first asked for."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._running: dict[str, MongoSettings] = {}

    async def of(self, kind: str) -> MongoSettings:
        """The settings that lead to the server of this kind."""
        if kind == "rust" and (missing := secantus.rust_server_missing()):
            (pytest.fail if os.environ.get("LESSON_PROGRESS_REQUIRE_REAL") else pytest.skip)(missing[0])
        if kind not in self._running:
            self._running[kind] = await self._stack.enter_async_context(_server(kind))
        return self._running[kind]


@asynccontextmanager
async def _server(kind: str) -> AsyncIterator[MongoSettings]:
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


@pytest.fixture(scope="session")
async def servers() -> AsyncIterator[Servers]:
    """The database servers of all these tests."""
    async with AsyncExitStack() as stack:
        yield Servers(stack)


@pytest.fixture(params=["python", "rust"])
async def real(request: pytest.FixtureRequest, servers: Servers, record_property: Any) -> AsyncIterator[RealWorld]:
    """A database of its own with every index."""
    record_property("stack", f"SecantusDB ({request.param})")
    async with _real(await servers.of(request.param)) as world:
        yield world


@pytest.fixture(params=["memory", "python", "rust"])
async def world(request: pytest.FixtureRequest, servers: Servers, record_property: Any) -> AsyncIterator[World]:
    """Every store there is: what holds for a real one has to hold for the fake."""
    if request.param == "memory":
        fake = FakeRecalculatorStore()
        yield World(fake, fake)
        return
    record_property("stack", f"SecantusDB ({request.param})")
    async with _real(await servers.of(request.param)) as real:
        yield real


@asynccontextmanager
async def _real(server: MongoSettings) -> AsyncIterator[RealWorld]:
    settings = server.model_copy(update={"database": f"recalculator_{secrets.token_hex(6)}"})
    client = connect(settings, service="test")
    db = database(client, settings)
    await prepare_indexes(db)
    await db["lessonProgress"].create_index([("userId", 1), ("lessonId", 1)], unique=True)
    store = MongoRecalculatorStore(db, settings)
    await store.prepare()
    try:
        yield RealWorld(store, MongoPlatform(db), db, settings)
    finally:
        client.close()
