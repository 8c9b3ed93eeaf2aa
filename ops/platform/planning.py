"""What an import would change: the platform's documents compared with the stored ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ops.platform.conflicts import refuse_conflicts
from ops.platform.countable import changed_courses
from ops.platform.database import Database, find_by
from ops.platform.differences import Change, difference, owned_fields
from ops.platform.documents import Course, CourseModule, Document, Enrollment, Lesson, Platform

#: Stored documents by their ids, with the fields that the platform owns.
Stored: TypeAlias = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many documents of a collection are new, differ, or are as they should be."""

    inserted: int
    updated: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import does: counts by collection, and the courses whose learners need a recalculation.

    Those are the courses that were stored before and count other lessons afterwards.
    """

    collections: Mapping[str, Counts]
    changed_courses: frozenset[str]

    @property
    def changes_nothing(self) -> bool:
        """Whether everything is stored already as it should be."""
        return all(counts.inserted == counts.updated == 0 for counts in self.collections.values())


@dataclass(frozen=True, slots=True)
class CollectionPlan:
    """What happens to one collection."""

    name: str
    new: tuple[Document, ...]
    changes: tuple[Change, ...]
    unchanged: int


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """A checked import that waits to be written: the collections in the order of writing."""

    collections: tuple[CollectionPlan, ...]
    changed_courses: frozenset[str]

    @property
    def report(self) -> ImportReport:
        """What writing this plan does."""
        counts = {plan.name: Counts(len(plan.new), len(plan.changes), plan.unchanged) for plan in self.collections}
        return ImportReport(counts, self.changed_courses)


async def plan_import(database: Database, platform: Platform) -> ImportPlan:
    """Compare and write nothing: the plan's `report` is the answer of a dry run.

    Nothing is ever deleted: what the platform does not name stays as it is.

    Raises:
        ImportRefused: an enrollment contradicts a stored one.
        ImportInterrupted: the database does not answer.
    """
    collections = platform.collections()
    stored = {kind: await _stored(database, kind, documents) for kind, documents in collections.items()}
    await refuse_conflicts(database, platform, stored[Enrollment])
    changed = await changed_courses(database, platform, stored[CourseModule], stored[Lesson])
    new_courses = {course.id for course in platform.courses} - stored[Course].keys()
    plans = tuple(_plan(kind, documents, stored[kind]) for kind, documents in collections.items())
    return ImportPlan(plans, changed - new_courses)


async def _stored(database: Database, kind: type[Document], documents: tuple[Document, ...]) -> Stored:
    ids = {document.id for document in documents}
    found = await find_by(database, kind.COLLECTION, "_id", ids, owned_fields(kind))
    return {document["_id"]: document for document in found}


def _plan(kind: type[Document], documents: tuple[Document, ...], stored: Stored) -> CollectionPlan:
    new = tuple(document for document in documents if document.id not in stored)
    compared = [difference(document, stored[document.id]) for document in documents if document.id in stored]
    changes = tuple(change for change in compared if change is not None)
    return CollectionPlan(kind.COLLECTION, new, changes, len(compared) - len(changes))
