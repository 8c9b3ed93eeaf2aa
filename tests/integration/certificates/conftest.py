"""Certificates' store in memory and on every database server: the same suite proves all of them."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ops.stacks import StackKind
from services.certificates.auditing import MongoAuditStore
from services.certificates.ports import AuditStore, CertificateRecords, Store
from services.certificates.storage import MongoStore
from shared.mongo.client import Database
from shared.settings import MongoSettings
from tests.support.database_servers import SERVERS, Room, Servers, servers_of
from tests.support.fakes_certificates import FakeCertificateStore, Platform


@dataclass
class MongoPlatform:
    """What others write, in a real database."""

    db: Database

    async def user(self, user_id: str, name: str, *, email: str | None = None) -> None:
        document = {"_id": user_id, "name": name, **({} if email is None else {"email": email})}
        await self.db["users"].replace_one({"_id": user_id}, document, upsert=True)

    async def course(self, course_id: str, title: str, *, instructor: str | None = None) -> None:
        document = {"_id": course_id, "title": title, **({} if instructor is None else {"instructorName": instructor})}
        await self.db["courses"].replace_one({"_id": course_id}, document, upsert=True)

    async def enroll(self, enrollment_id: str, user_id: str, course_id: str, *, completed_at: int | None) -> None:
        document = {"_id": enrollment_id, "userId": user_id, "courseId": course_id, "completedAt": completed_at}
        await self.db["enrollments"].insert_one(document)


@dataclass
class World:
    """A store, and what others write beside it."""

    store: Store
    platform: Platform
    audit: AuditStore
    records: CertificateRecords


@pytest.fixture(scope="session")
async def servers(request: pytest.FixtureRequest) -> AsyncIterator[Servers]:
    """The database servers of all these tests."""
    async with servers_of(request.config) as servers:
        yield servers


@pytest.fixture
async def room(
    servers: Servers,
    stack_kind: StackKind,
    record_property: Callable[[str, object], None],
) -> AsyncIterator[Room]:
    """An empty database, on the server of the chosen stack."""
    kind = "rust" if stack_kind is StackKind.KAFKA else "python"
    record_property("stack", servers.name(kind))
    # Few keys in a query, so that batches of a handful are asked for in parts.
    async with servers.room(kind, "certificates", keys_per_query=2) as room:
        yield room


@pytest.fixture
def settings(room: Room) -> MongoSettings:
    """The settings for an empty database."""
    return room.settings


@pytest.fixture
def db(room: Room) -> Database:
    """An empty database, as those who write beside the service reach it."""
    return room.platform


@pytest.fixture
async def mongo_store(room: Room) -> MongoStore:
    """The real store, with its indexes."""
    store = MongoStore(room.own, room.settings)
    await store.prepare()
    return store


@pytest.fixture(params=["memory", *SERVERS])
async def world(request: pytest.FixtureRequest, servers: Servers, record_property: Any) -> AsyncIterator[World]:
    """Every store there is: what holds for a real one has to hold for the fake."""
    if request.param == "memory":
        fake = FakeCertificateStore()
        yield World(fake, fake, fake, fake)
        return
    record_property("stack", servers.name(request.param))
    async with servers.room(request.param, "certificates", keys_per_query=2) as room:
        store = MongoStore(room.own, room.settings)
        await store.prepare()
        audit = MongoAuditStore(room.own, room.settings)
        yield World(store, MongoPlatform(room.platform), audit, store)
