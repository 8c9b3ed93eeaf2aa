"""Each program's database user may do what its work needs, and is refused all else: one writer for each collection."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure

from tests.support.containers import MongoDatabases, containers_of
from tests.support.database_servers import contained_name

pytestmark = pytest.mark.containers

DATABASE = "rights"
_UNAUTHORIZED = 13

CATALOG = ("courses", "courseModules", "lessons")
FILES = ("fs.files", "fs.chunks")
KEYS = ("progressSigningKeys", "recalculatorSigningKeys", "certificatesSigningKeys")
#: What each reads without writing it.
READS: Mapping[str, tuple[str, ...]] = {
    "progress": (*CATALOG, "enrollments"),
    "recalculator": ("courseModules", "lessons", "lessonProgress"),
    "certificates": ("users", "courses", "enrollments"),
    "ops": ("lessonProgress", "certificates", "notifications", "courseSweeps", *FILES, *KEYS),
}
RECORDS, STATES, FORGETTING = {"insert"}, {"update"}, {"insert", "update", "delete"}
#: What each writes, and how. Records of facts are never changed, and nobody removes what a learner was given.
WRITES: Mapping[str, Mapping[str, set[str]]] = {
    "progress": {"lessonProgress": RECORDS | {"index"}, "progressSigningKeys": FORGETTING},
    "recalculator": {
        "enrollments": STATES | {"index"},
        "courseSweeps": {"insert", "update"},
        "driftAudits": {"insert", "update"},
        "recalculatorSigningKeys": FORGETTING,
    },
    "certificates": {
        "certificates": {"insert", "update", "index"},
        "notifications": {"insert", "update", "index"},
        "certificatesSigningKeys": FORGETTING,
        **{name: {"insert", "delete", "index"} for name in FILES},
    },
    "ops": {
        **{name: {"insert", "update"} for name in ("users", "courses")},
        **{name: {"insert", "update", "index"} for name in ("courseModules", "lessons", "enrollments")},
    },
}
COLLECTIONS = sorted({name for user in READS for name in (*READS[user], *WRITES[user])} | {"elsewhere"})

Operation = Callable[[Collection[Any]], object]
OPERATIONS: Mapping[str, Operation] = {
    "find": lambda c: c.find_one({}),
    "insert": lambda c: c.insert_one({"probe": 1}),
    "update": lambda c: c.update_many({"probe": {"$exists": True}}, {"$set": {"probe": 2}}),
    "upsert": lambda c: c.update_one({"_id": "probe"}, {"$set": {"probe": 3}}, upsert=True),
    "delete": lambda c: c.delete_many({"probe": {"$exists": True}}),
    "index": lambda c: c.create_index("probe"),
    "drop index": lambda c: c.drop_index("probe_1"),
    "rename": lambda c: c.rename(f"{c.name}-renamed"),
    "drop": lambda c: c.drop(),
}


@pytest.fixture(scope="module")
def mongo(request: pytest.FixtureRequest) -> MongoDatabases:
    """A database server in which every collection has a document and an index."""
    databases = containers_of(request.config).mongo
    databases.prepare(DATABASE)
    settings = databases.root(DATABASE)
    with MongoClient[Any](settings.uri.get_secret_value()) as root:
        for name in COLLECTIONS:
            root[DATABASE][name].insert_one({"probe": name})
            root[DATABASE][name].create_index("probe")
    return databases


@pytest.fixture(scope="module")
def server(mongo: MongoDatabases) -> str:
    """What the server says it is."""
    return contained_name(mongo)


@pytest.fixture(autouse=True)
def served_by(server: str, record_property: Callable[[str, object], None]) -> None:
    record_property("stack", server)


@contextmanager
def database_as(mongo: MongoDatabases, user: str, name: str = DATABASE) -> Iterator[Database[Any]]:
    with MongoClient[Any](mongo.user(user, DATABASE).uri.get_secret_value()) as client:
        yield client[name]


def may(operation: Callable[[], object]) -> bool:
    """Whether the server lets this user do it; any other failure is one of the test."""
    try:
        operation()
    except OperationFailure as failure:
        if failure.code != _UNAUTHORIZED:
            raise
        return False
    return True


@pytest.mark.parametrize("user", READS)
def test_a_user_may_do_what_its_work_needs_and_nothing_else(mongo: MongoDatabases, user: str) -> None:
    expected = {(name, "find") for name in (*READS[user], *WRITES[user])}
    expected |= {(name, operation) for name, how in WRITES[user].items() for operation in how}
    expected |= {(name, "upsert") for name, how in WRITES[user].items() if {"insert", "update"} <= how}

    with database_as(mongo, user) as db:
        found = {
            (name, operation)
            for name in COLLECTIONS
            for operation, do in OPERATIONS.items()
            if may(lambda do=do, name=name: do(db[name]))  # type: ignore[misc]
        }

    assert found - expected == set(), f"{user} may do more than it needs"
    assert expected - found == set(), f"{user} may not do what it needs"


@pytest.mark.parametrize("user", READS)
def test_a_user_has_no_power_over_the_database_itself(mongo: MongoDatabases, user: str) -> None:
    rights: list[Mapping[str, Any]] = [
        {"dropDatabase": 1},
        {"createUser": "intruder", "pwd": "intruder", "roles": ["dbOwner"]},
        {"updateUser": user, "roles": ["dbOwner"]},
        {"grantRolesToUser": user, "roles": ["readWrite"]},
        {"create": "elsewhere2"},
    ]
    with database_as(mongo, user) as db, database_as(mongo, user, "admin") as admin:
        done = [command for command in rights if may(lambda command=command: db.command(command))]  # type: ignore[misc]
        assert done == []
        assert not may(lambda: admin["system.users"].find_one({}))


@pytest.mark.parametrize("user", READS)
def test_a_user_reaches_no_other_database(mongo: MongoDatabases, user: str) -> None:
    with database_as(mongo, user, "other") as db:
        for name in COLLECTIONS:
            assert not may(lambda name=name: db[name].find_one({}))  # type: ignore[misc]
            assert not may(lambda name=name: db[name].insert_one({}))  # type: ignore[misc]


@pytest.mark.parametrize("user", READS)
def test_a_wrong_password_is_no_user(mongo: MongoDatabases, user: str) -> None:
    uri = mongo.user(user, DATABASE).uri.get_secret_value()
    before, _, after = uri.rpartition("@")
    with MongoClient[Any](f"{before[:-1]}@{after}") as client, pytest.raises(OperationFailure) as refused:
        client[DATABASE]["lessonProgress"].find_one({})
    assert refused.value.code == 18
