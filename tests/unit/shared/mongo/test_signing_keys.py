"""The stored memory of keys: what was known of a key is known after a restart."""

from collections.abc import Sequence
from typing import Any, Self, cast

from pymongo import DeleteMany, ReplaceOne

from shared.identity.jwks import read_key
from shared.identity.key_memory import RememberedKey
from shared.mongo.client import Database
from shared.mongo.signing_keys import MongoKeyMemory
from tests.support.issuer import NOW, ed25519_signer


class Collection:
    """One collection: takes whole documents, gives them back."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}

    def get_collection(self, _: str) -> Self:
        return self

    async def bulk_write(self, writes: Sequence[ReplaceOne[Any] | DeleteMany], *, ordered: bool) -> None:
        assert not ordered
        for write in writes:
            if isinstance(write, ReplaceOne):
                self.documents[write._filter["_id"]] = dict(cast("dict[str, Any]", write._doc))
            else:
                for identity in write._filter["_id"]["$in"]:
                    del self.documents[identity]

    def find(self, _: object) -> Self:
        return self

    async def to_list(self, _: None) -> list[dict[str, Any]]:
        return list(self.documents.values())


async def test_a_key_is_remembered_with_the_moment_it_left_until_it_is_forgotten() -> None:
    memory = MongoKeyMemory(cast("Database", Collection()), "progressSigningKeys")
    left = RememberedKey(read_key(ed25519_signer("old").jwk), NOW)
    there = RememberedKey(read_key(ed25519_signer("new").jwk))

    await memory.save([left, there], [])
    assert {key.key.kid: key.left_at for key in await memory.load()} == {"old": NOW, "new": None}

    await memory.save([], [left.key])
    assert [key.key.kid for key in await memory.load()] == ["new"]


async def test_a_document_that_holds_no_key_is_passed_over() -> None:
    collection = Collection()
    collection.documents["torn"] = {"_id": "torn", "kid": "torn", "jwk": {"kty": "RSA"}}
    assert await MongoKeyMemory(cast("Database", collection), "progressSigningKeys").load() == []


async def test_nothing_to_remember_asks_the_database_nothing() -> None:
    collection: Any = None  # whoever asks it fails
    memory = MongoKeyMemory(cast("Database", Collection()), "progressSigningKeys")
    memory._collection = collection
    await memory.save([], [])
