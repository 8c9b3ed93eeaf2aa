"""PDFs as GridFS lays them down: a description in `fs.files`, the bytes in `fs.chunks`."""

from collections.abc import Sequence
from datetime import UTC, datetime

from bson import Binary, ObjectId

from shared.contracts.ids import deterministic_id
from tests.bench.baseline.database import Database, Document

#: GridFS' own (MongoDB's GridFS specification).
_CHUNK_BYTES = 255 * 1024


async def keep(database: Database, certificate_ids: Sequence[str], pdfs: Sequence[bytes]) -> list[str]:
    """Store the files of a batch with two inserts; answers their ids."""
    ids = [deterministic_id("certificate-file", certificate_id) for certificate_id in certificate_ids]
    chunks: list[Document] = [
        {"_id": ObjectId(), "files_id": file_id, "n": n, "data": Binary(data[start : start + _CHUNK_BYTES])}
        for file_id, data in zip(ids, pdfs, strict=True)
        for n, start in enumerate(range(0, len(data), _CHUNK_BYTES))
    ]
    now = datetime.now(UTC)
    files: list[Document] = [
        {
            "_id": file_id,
            "length": len(data),
            "chunkSize": _CHUNK_BYTES,
            "uploadDate": now,
            "filename": f"{file_id}.pdf",
        }
        for file_id, data in zip(ids, pdfs, strict=True)
    ]
    await database.insert("fs.chunks", chunks)
    await database.insert("fs.files", files)
    return ids
