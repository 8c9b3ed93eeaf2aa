"""What the collections themselves refuse: the index is the last word, whoever writes and under whatever id."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol, cast

import pytest
from pymongo import IndexModel

from services.certificates.storage import MongoStore
from services.progress.storage import MongoProgressStore
from shared.mongo.client import Database
from shared.settings import MongoSettings


class Prepared:
    """A database that notes which indexes its collections are given."""

    def __init__(self) -> None:
        self.unique: defaultdict[str, list[list[str]]] = defaultdict(list)

    def __getitem__(self, collection: str) -> "_Collection":
        return _Collection(self.unique[collection])


class _Collection:
    def __init__(self, unique: list[list[str]]) -> None:
        self._unique = unique

    async def create_indexes(self, models: Sequence[IndexModel]) -> None:
        self._unique += [list(model.document["key"]) for model in models if model.document.get("unique")]


class Store(Protocol):
    async def prepare(self) -> None:
        """Make the indexes."""


class Made(Protocol):
    def __call__(self, db: Database, settings: MongoSettings) -> Store: ...


@pytest.mark.parametrize(
    ("store", "collection", "fields"),
    [
        (MongoProgressStore, "lessonProgress", ["userId", "lessonId"]),
        (MongoStore, "certificates", ["enrollmentId"]),
        (MongoStore, "fs.chunks", ["files_id", "n"]),
    ],
    ids=["one record of a learner and lesson", "one certificate of an enrollment", "one chunk of a file at a place"],
)
async def test_a_second_one_is_refused(store: Made, collection: str, fields: list[str]) -> None:
    prepared: Any = Prepared()
    await store(cast("Database", prepared), MongoSettings()).prepare()
    assert fields in prepared.unique[collection]
