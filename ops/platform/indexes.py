"""The indexes of the collections that belong to the platform."""

from typing import Any

from pymongo import ASCENDING, IndexModel

from ops.platform.database import failures_named

_INDEXES = {
    "courseModules": [IndexModel([("courseId", ASCENDING), ("order", ASCENDING)])],
    "lessons": [IndexModel([("moduleId", ASCENDING), ("order", ASCENDING)])],
    "enrollments": [
        IndexModel([("userId", ASCENDING), ("courseId", ASCENDING)], unique=True),
        IndexModel([("courseId", ASCENDING), ("_id", ASCENDING)]),
    ],
}


async def prepare_indexes(db: Any) -> None:
    """Make the indexes that are not there; before the data, since an index of much data takes long.

    Raises:
        ImportInterrupted: the database does not take them.
    """
    for collection, indexes in _INDEXES.items():
        with failures_named(collection):
            await db[collection].create_indexes(indexes)
