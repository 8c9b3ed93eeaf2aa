"""The recalculator's store in memory and on every database server: the same suite proves all of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ops.platform.indexes import prepare_indexes
from services.recalculator.storage import MongoRecalculatorStore
from tests.support.database_servers import SERVERS, Servers, servers_of
from tests.support.fakes_recalculator import FakeRecalculatorStore
from tests.support.recalculator_worlds import MongoPlatform, RealWorld, World


@pytest.fixture(scope="session")
async def servers(request: pytest.FixtureRequest) -> AsyncIterator[Servers]:
    """The database servers of all these tests."""
    async with servers_of(request.config) as servers:
        yield servers


@pytest.fixture(params=["python", "rust"])
async def real(request: pytest.FixtureRequest, servers: Servers, record_property: Any) -> AsyncIterator[RealWorld]:
    """A database of its own with every index."""
    record_property("stack", servers.name(request.param))
    async with _real(servers, request.param) as world:
        yield world


@pytest.fixture(params=["memory", *SERVERS])
async def world(request: pytest.FixtureRequest, servers: Servers, record_property: Any) -> AsyncIterator[World]:
    """Every store there is: what holds for a real one has to hold for the fake."""
    if request.param == "memory":
        fake = FakeRecalculatorStore()
        yield World(fake, fake)
        return
    record_property("stack", servers.name(request.param))
    async with _real(servers, request.param) as real:
        yield real


@asynccontextmanager
async def _real(servers: Servers, kind: str) -> AsyncIterator[RealWorld]:
    async with servers.room(kind, "recalculator") as room:
        await prepare_indexes(room.platform)
        await room.platform["lessonProgress"].create_index([("userId", 1), ("lessonId", 1)], unique=True)
        store = MongoRecalculatorStore(room.own, room.settings)
        await store.prepare()
        yield RealWorld(store, MongoPlatform(room.platform), room.platform, room.settings)
