"""What the database refused of a bulk: an answer, something that passes, or a bug; and how durable a bulk is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest
from pymongo import UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError

from shared.errors import Transient
from shared.mongo.batches import Batches
from shared.mongo.client import Database, translated
from shared.settings import MongoSettings

DUPLICATE, PRIMARY_STEPPED_DOWN, REFUSED_DOCUMENT = 11000, 189, 121


def bulk(*codes: int, **details: Any) -> BulkWriteError:
    return BulkWriteError({"writeErrors": [{"index": n, "code": code} for n, code in enumerate(codes)], **details})


@pytest.mark.parametrize(
    "failure",
    [
        bulk(DUPLICATE, PRIMARY_STEPPED_DOWN),
        bulk(PRIMARY_STEPPED_DOWN),
        bulk(DUPLICATE, writeConcernErrors=[{"code": 64}]),
    ],
    ids=["a duplicate and a passing one", "a passing one", "a duplicate, not confirmed"],
)
def test_what_passes_beside_what_is_there_already_is_repeated(failure: BulkWriteError) -> None:
    with pytest.raises(Transient), translated():
        raise failure


@pytest.mark.parametrize("codes", [(DUPLICATE, DUPLICATE), (DUPLICATE, REFUSED_DOCUMENT, PRIMARY_STEPPED_DOWN)])
def test_duplicates_alone_are_an_answer_and_a_refused_document_is_a_bug(codes: tuple[int, ...]) -> None:
    with pytest.raises(BulkWriteError), translated():
        raise bulk(*codes)


class Stored:
    """A database with one collection; notes how its transactions are begun."""

    write_concern = WriteConcern(w="majority", j=True, wtimeout=20_000)

    def __init__(self, refusal: BulkWriteError | None = None) -> None:
        self.refusal = refusal
        self.begun: list[dict[str, Any]] = []
        self.client = self

    def __getitem__(self, _: str) -> "Stored":
        return self

    async def insert_many(self, _documents: object, *, ordered: bool) -> None:
        assert not ordered
        if self.refusal is not None:
            raise self.refusal

    async def bulk_write(self, updates: list[object], *, ordered: bool, session: object) -> SimpleNamespace:
        assert not ordered
        assert session is self
        return SimpleNamespace(matched_count=len(updates))

    async def start_session(self) -> "Stored":
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """A session ends."""

    @asynccontextmanager
    async def start_transaction(self, **options: Any) -> AsyncIterator[None]:
        self.begun.append(options)
        yield


def batches(stored: Stored) -> Batches:
    return Batches(cast("Database", stored), MongoSettings(bulk_in_transaction=True))


async def test_an_insert_that_was_interrupted_after_a_duplicate_is_repeated() -> None:
    with pytest.raises(Transient):
        await batches(Stored(bulk(DUPLICATE, PRIMARY_STEPPED_DOWN))).insert("any", [{"_id": "a"}, {"_id": "b"}])


async def test_a_bulk_in_a_transaction_is_as_durable_as_any_other_write() -> None:
    stored = Stored()
    updates = [UpdateOne({"_id": name}, {"$set": {"seen": True}}) for name in ("a", "b")]
    assert await batches(stored).update("any", updates) == 2
    assert stored.begun == [{"write_concern": stored.write_concern}]
