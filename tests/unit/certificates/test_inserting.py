"""Inserts of which some are refused: there already, not confirmed, or wrong."""

from typing import Any, cast

import pytest
from pymongo.errors import BulkWriteError

from shared.errors import Transient
from shared.mongo.batches import Batches
from shared.mongo.client import Database
from shared.settings import MongoSettings

DOCUMENTS: list[dict[str, Any]] = [{"_id": "a"}, {"_id": "b"}, {"_id": "c"}]
THERE_ALREADY = {"index": 1, "code": 11000}


class Refusing:
    """A database whose one collection refuses a bulk as it is told."""

    def __init__(self, **details: Any) -> None:
        self._details = details

    def __getitem__(self, _: str) -> "Refusing":
        return self

    async def insert_many(self, documents: list[dict[str, Any]], *, ordered: bool) -> None:
        assert not ordered
        raise BulkWriteError({"writeErrors": [], "writeConcernErrors": [], **self._details})


def batches(**details: Any) -> Batches:
    return Batches(cast("Database", Refusing(**details)), MongoSettings())


async def test_those_that_are_there_already_are_answered() -> None:
    assert await batches(writeErrors=[THERE_ALREADY]).insert("any", DOCUMENTS) == [{"_id": "b"}]


async def test_nothing_to_insert_asks_the_database_nothing() -> None:
    assert await batches().insert("any", []) == []


async def test_what_the_majority_did_not_confirm_is_repeated() -> None:
    with pytest.raises(Transient):
        await batches(writeErrors=[THERE_ALREADY], writeConcernErrors=[{"code": 64}]).insert("any", DOCUMENTS)


async def test_another_refusal_is_an_error_and_not_taken_for_a_repeat() -> None:
    with pytest.raises(BulkWriteError):
        await batches(writeErrors=[THERE_ALREADY, {"index": 2, "code": 121}]).insert("any", DOCUMENTS)


async def test_a_refusal_that_passes_is_repeated() -> None:
    with pytest.raises(Transient):
        await batches(writeErrors=[{"index": 2, "code": 11602}]).insert("any", DOCUMENTS)
