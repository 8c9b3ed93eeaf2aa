"""What a replay left behind, read from the database: figures to compare with the files, and a fingerprint."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.platform.counting import ExpectedFigures
from ops.platform.database import chunks
from shared.contracts.ids import notification_id
from shared.mongo.client import Database, translated

_PAGE = 2000
_IDS_PER_QUERY = 100
#: What a learner is told about a completed course.
_KINDS = ("course_completed", "certificate_ready")


@dataclass(frozen=True, slots=True)
class Figures:
    """What stands in the database after a replay; all but `completions` and `records` count enrollments or files."""

    completions: int
    certificates: int
    distinct_certificate_ids: int
    readable_pdfs: int
    partial: int
    zero: int
    percentages: Mapping[float, int]
    notifications: Mapping[str, int]
    #: Changes when any record, percentage, certificate or notification does.
    fingerprint: str

    def differences(self, expected: ExpectedFigures, *, rendered: bool = True) -> list[str]:
        """How these figures differ from those counted in the files, in sentences; none on a right system."""
        pairs: list[tuple[str, object, object]] = [
            ("completions", self.completions, expected.completions),
            ("certificates", self.certificates, expected.certificates),
            ("distinct certificate ids", self.distinct_certificate_ids, expected.certificates),
            ("readable PDFs", self.readable_pdfs, expected.certificates if rendered else 0),
            ("enrollments between 0 and 100 %", self.partial, expected.partial),
            ("enrollments at 0 %", self.zero, expected.zero),
            ("percentages", dict(self.percentages), dict(expected.percentages)),
        ]
        pairs += [(f"notifications {kind}", self.notifications.get(kind, 0), expected.certificates) for kind in _KINDS]
        return [f"{name}: {found}, expected {wanted}" for name, found, wanted in pairs if found != wanted]


async def read_figures(db: Database, *, courses: Sequence[str]) -> Figures:
    """Read the figures of these courses' enrollments.

    Raises:
        Transient: the database does not answer.
    """
    fingerprint = _Fingerprint()
    percentages: Counter[float] = Counter()
    completions = 0
    with translated():
        async for document in _pages(db, "lessonProgress", {"courseId": {"$in": list(courses)}}):
            completions += 1
            fingerprint.add(document, "_id", "completedAt")
        enrollments: list[str] = []
        async for document in _pages(db, "enrollments", {"courseId": {"$in": list(courses)}}):
            enrollments.append(document["_id"])
            percentages[float(document.get("progressPercent") or 0.0)] += 1
            fingerprint.add(document, "_id", "progressPercent", "completedAt", "revision")
        certificates = [c async for c in _pages(db, "certificates", {"courseId": {"$in": list(courses)}})]
        kinds: Counter[str] = Counter()
        async for document in _notifications(db, enrollments):
            kinds[document["kind"]] += 1
            fingerprint.add(document, "_id", "createdAt")
        issued = [c for c in certificates if c["status"] == "issued"]
        for certificate in certificates:
            fingerprint.add(certificate, "_id", "enrollmentId", "issuedAt", "status", "fileId")
        readable = await _readable_pdfs(db, {c["fileId"] for c in issued if c.get("fileId") is not None})
    return Figures(
        completions=completions,
        certificates=len({c["enrollmentId"] for c in issued}),
        distinct_certificate_ids=len({c["_id"] for c in issued}),
        readable_pdfs=readable,
        partial=sum(count for percent, count in percentages.items() if 0 < percent < 100),  # noqa: PLR2004 - percent
        zero=percentages[0.0],
        percentages=percentages,
        notifications=kinds,
        fingerprint=fingerprint.hexdigest(),
    )


async def _notifications(db: Database, enrollments: Sequence[str]) -> AsyncIterator[dict[str, Any]]:
    """The notifications of these enrollments; a collection that holds little else is read in one pass."""
    wanted = {notification_id(kind, enrollment) for kind in _KINDS for enrollment in enrollments}
    if await db["notifications"].estimated_document_count() <= 2 * len(wanted):
        async for document in _pages(db, "notifications", {}):
            if document["_id"] in wanted:
                yield document
        return
    for some in chunks(list(wanted), _IDS_PER_QUERY):
        async for document in _pages(db, "notifications", {"_id": {"$in": list(some)}}):
            yield document


async def _readable_pdfs(db: Database, file_ids: set[Any]) -> int:
    """How many of these files are whole PDFs: begun and ended as PDF 1.7 says, of the length that is stored."""
    lengths = {d["_id"]: d["length"] async for d in _pages(db, "fs.files", {})}
    seen: dict[Any, tuple[bytes, bytes, int]] = {}
    async for chunk in _pages(db, "fs.chunks", {}):
        data = bytes(chunk["data"])
        head, tail, length = seen.get(chunk["files_id"], (b"", b"", 0))
        if chunk["n"] == 0:
            head = data[:5]
        seen[chunk["files_id"]] = (head, data[-16:] or tail, length + len(data))
    return sum(
        1
        for file_id in file_ids
        if (found := seen.get(file_id)) is not None
        and found[0] == b"%PDF-"
        and b"%%EOF" in found[1]
        and found[2] == lengths.get(file_id)
    )


async def _pages(db: Database, collection: str, query: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    async for document in db[collection].find(query, batch_size=_PAGE if collection != "fs.chunks" else 100):
        yield document


class _Fingerprint:
    """A digest of documents that come in any order: their own digests, added up."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, document: Mapping[str, Any], *fields: str) -> None:
        """Add one document's values of these fields."""
        text = repr([document.get(field) for field in fields])
        self._sum += int.from_bytes(hashlib.sha256(text.encode()).digest())

    def hexdigest(self) -> str:
        """The fingerprint of everything added."""
        return f"{self._sum % 2**256:064x}"
