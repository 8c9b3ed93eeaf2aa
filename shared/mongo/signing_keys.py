"""The memory of signing keys in MongoDB: one document for each key seen, `_id` its kid and thumbprint."""

from collections.abc import Collection
from typing import Any

import structlog
from pymongo import DeleteMany, ReplaceOne
from pymongo.errors import BulkWriteError

from shared.errors import Transient
from shared.identity.jwks import SigningKey, UnusableKey, read_key
from shared.identity.key_memory import RememberedKey
from shared.mongo.client import Database, translated

_log = structlog.get_logger()


class MongoKeyMemory:
    """A `KeyMemory` in the collection of this name, which belongs to one service.

    Documents: `_id`, `kid`, `thumbprint`, `jwk` (the public key, RFC 7517), `leftAt` (epoch ms, or null).
    """

    def __init__(self, database: Database, collection: str) -> None:
        self._collection = database.get_collection(collection)

    async def load(self) -> list[RememberedKey]:
        """Every key in the collection; a document that holds no usable key is passed over and logged.

        Raises:
            Transient: the database is away.
            Fatal: it refuses this service's user.
        """
        with translated():
            documents = await self._collection.find({}).to_list(None)
        return [remembered for document in documents if (remembered := _read(document)) is not None]

    async def save(self, changed: Collection[RememberedKey], forgotten: Collection[SigningKey]) -> None:
        """Put in or replace what changed and take out what is forgotten.

        Raises:
            Transient: the database is away, or another replica wrote the same key at this moment.
            Fatal: it refuses this service's user.
        """
        writes: list[ReplaceOne[dict[str, Any]] | DeleteMany] = [
            ReplaceOne({"_id": _id(remembered.key)}, _document(remembered), upsert=True) for remembered in changed
        ]
        if forgotten:
            writes.append(DeleteMany({"_id": {"$in": [_id(key) for key in forgotten]}}))
        if not writes:
            return
        try:
            with translated():
                await self._collection.bulk_write(writes, ordered=False)
        except BulkWriteError as failure:
            raise Transient("not every signing key was stored") from failure


def _id(key: SigningKey) -> str:
    # A thumbprint always has 43 characters and no colon, so a kid may hold any.
    return f"{key.kid}:{key.thumbprint}"


def _document(remembered: RememberedKey) -> dict[str, Any]:
    key = remembered.key
    return {
        "_id": _id(key),
        "kid": key.kid,
        "thumbprint": key.thumbprint,
        "jwk": key.public_jwk(),
        "leftAt": remembered.left_at,
    }


def _read(document: dict[str, Any]) -> RememberedKey | None:
    try:
        return RememberedKey(read_key(document.get("jwk")), document.get("leftAt"))
    except UnusableKey as unusable:
        _log.warning("signing_keys.skipped", kid=document.get("kid"), reason=str(unusable))
        return None
