"""Documents that are not what their owner writes: whoever looks at all of them names these, and goes on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from shared.contracts.certificates import Address, CertificateStatus, NotificationKind
from shared.contracts.values import EpochMillis, Id
from shared.mongo.batches import Document

#: Hears of a document that cannot be read: its collection and its `_id`.
OnUnreadable = Callable[[str, str], None]

_COUNT = Annotated[int, Field(ge=0)] | None
#: The fields that rules and events are made of, by collection; what the course platform writes may be absent.
_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "lessons": {"moduleId": Id | None},
    "courseModules": {"courseId": Id | None},
    "lessonProgress": {
        "userId": Id,
        "lessonId": Id,
        "courseId": Id,
        "enrollmentId": Id,
        "completedAt": EpochMillis,
    },
    "enrollments": {
        "userId": Id,
        "courseId": Id,
        "enrolledAt": int | float | None,
        "progressedAt": EpochMillis | None,
        "completedLessons": _COUNT,
        "totalLessons": _COUNT,
        "progressPercent": float | None,
        "completedAt": EpochMillis | None,
        "revision": _COUNT,
        "sweeps": _COUNT,
    },
    "courseSweeps": {"requestedAt": EpochMillis},
    "certificates": {
        "enrollmentId": Id,
        "userId": Id,
        "courseId": Id,
        "status": CertificateStatus,
        "issuedAt": EpochMillis | None,
        "revokedAt": EpochMillis | None,
        "fileId": str | None,
    },
    "fs.files": {"length": Annotated[int, Field(ge=0)], "chunkSize": Annotated[int, Field(gt=0)]},
    "notifications": {
        "userId": Id,
        "kind": NotificationKind,
        "title": str,
        "body": Annotated[str, StringConstraints(max_length=500)],
        "link": Address,
        "createdAt": EpochMillis,
    },
}
_STRICT = ConfigDict(strict=True)
_READERS: Mapping[str, Mapping[str, TypeAdapter[Any]]] = {
    collection: {name: TypeAdapter(kind, config=_STRICT) for name, kind in {"_id": Id, **fields}.items()}
    for collection, fields in _FIELDS.items()
}


class Sieve:
    """Lets pass what can be read, and tells of what cannot: whatever is read again is told of again."""

    def __init__(self, tell: OnUnreadable) -> None:
        self._tell = tell

    def __call__(self, collection: str, fields: Sequence[str], documents: list[Document]) -> list[Document]:
        """Those of these documents that hold what they ought to, as far as these fields (all when empty) were read."""
        readers = _READERS.get(collection, {})
        asked = {name: reader for name, reader in readers.items() if not fields or name in fields or name == "_id"}
        return [document for document in documents if self._passes(collection, asked, document)]

    def _passes(self, collection: str, asked: Mapping[str, TypeAdapter[Any]], document: Document) -> bool:
        try:
            for name, reader in asked.items():
                reader.validate_python(document.get(name))
        except ValidationError:
            self._tell(collection, str(document["_id"]))
            return False
        return True
