"""Certificates' store, in memory and on a real database: the same suite proves both."""

import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from ops.stacks import StackKind
from ops.stacks.home import open_home
from ops.stacks.ports import Ports
from ops.stacks.programs import Programs
from ops.stacks.secantus import python_server, rust_server
from services.certificates.ports import Store
from services.certificates.storage import MongoStore
from shared.mongo.client import Client, Database, connect, database
from shared.settings import MongoSettings
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


@pytest.fixture(scope="session")
async def database_uri(stack_kind: StackKind) -> AsyncIterator[str]:
    """A database of its own, by the stack that was chosen."""
    with tempfile.TemporaryDirectory() as directory:
        async with open_home(Path(directory)) as home:
            make = rust_server if stack_kind is StackKind.KAFKA else python_server
            server = make(home, port=Ports({}).of("database"))
            programs = Programs(home.path, home.logs, home.warden, lambda _: None)
            try:
                await programs.start(server)
                yield f"mongodb://{server.address}/?directConnection=true"
            finally:
                await programs.stop_all(programs.running, timeout=5)


@pytest.fixture
async def settings(database_uri: str) -> MongoSettings:
    """The settings for an empty database."""
    # Few keys in a query, so that batches of a handful are asked for in parts.
    own = {"uri": database_uri, "database": f"certificates_{uuid4().hex}", "keys_per_query": 2}
    return MongoSettings.model_validate(own)


@pytest.fixture
async def client(settings: MongoSettings) -> AsyncIterator[Client]:
    client = connect(settings, service="certificates")
    yield client
    client.close()


@pytest.fixture
async def db(client: Client, settings: MongoSettings) -> Database:
    return database(client, settings)


@pytest.fixture
async def mongo_store(
    db: Database, settings: MongoSettings, stack_kind: StackKind, record_property: Callable[[str, object], None]
) -> MongoStore:
    """The real store, with its indexes."""
    record_property("stack", "the Rust server" if stack_kind is StackKind.KAFKA else "SecantusDB (Python)")
    store = MongoStore(db, settings)
    await store.prepare()
    return store


@pytest.fixture(params=["in memory", "in the database"])
def world(request: pytest.FixtureRequest) -> World:
    """An empty world, once in memory and once real."""
    if request.param == "in memory":
        fake = FakeCertificateStore()
        return World(fake, fake)
    return World(request.getfixturevalue("mongo_store"), MongoPlatform(request.getfixturevalue("db")))
