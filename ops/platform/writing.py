"""An import into the database: new documents inserted, different ones updated, all others left alone."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from pymongo import UpdateOne

from ops.platform.database import Database, chunks, failures_named
from ops.platform.differences import Change
from ops.platform.documents import Platform
from ops.platform.planning import CollectionPlan, ImportPlan, ImportReport, plan_import

#: Documents in one command.
_AT_ONCE: Final = 1000

#: Hears, after each command, the collection and how many of its documents are written, of how many.
OnProgress: TypeAlias = Callable[[str, int, int], None]


async def write_platform(database: Database, platform: Platform, on_progress: OnProgress | None = None) -> ImportReport:
    """Bring the platform's documents into the database; the same import again changes nothing.

    Only fields that the platform owns are written, so progress is never touched. Everything is checked before the
    first write, and what is referred to is written before what refers to it.

    Raises:
        ImportRefused: an enrollment contradicts a stored one, and nothing was written.
        ImportInterrupted: the database failed on the way; the same import can run again.
    """
    return await write_plan(database, await plan_import(database, platform), on_progress)


async def write_plan(database: Database, plan: ImportPlan, on_progress: OnProgress | None = None) -> ImportReport:
    """Write what was planned, as `write_platform` does.

    When it fails on the way, some of the plan's changed courses may have changed already: a caller who tells the
    recalculator about courses tells it then too, because the next plan no longer sees those changes.

    Raises:
        ImportInterrupted: the database failed on the way; the same import can run again.
    """
    for collection in plan.collections:
        with failures_named(collection.name):
            await _write(database, collection, on_progress or _say_nothing)
    return plan.report


async def _write(database: Database, plan: CollectionPlan, on_progress: OnProgress) -> None:
    collection, written, total = database[plan.name], 0, len(plan.new) + len(plan.changes)
    for new in chunks(plan.new, _AT_ONCE):
        await collection.insert_many([document.stored() for document in new], ordered=False)
        written += len(new)
        on_progress(plan.name, written, total)
    for changes in chunks(plan.changes, _AT_ONCE):
        await collection.bulk_write([_update(change) for change in changes], ordered=False)
        written += len(changes)
        on_progress(plan.name, written, total)


def _update(change: Change) -> UpdateOne:
    update: dict[str, Any] = {}
    if change.to_set:
        update["$set"] = dict(change.to_set)
    if change.to_unset:
        update["$unset"] = dict.fromkeys(change.to_unset, "")
    return UpdateOne({"_id": change.id}, update)


def _say_nothing(_collection: str, _written: int, _total: int) -> None:
    """Hear progress and do nothing."""
