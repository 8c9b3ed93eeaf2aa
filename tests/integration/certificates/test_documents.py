"""What other readers of the database find: documents by the contract, files by GridFS, one certificate by an index."""

import pytest
from motor.motor_asyncio import AsyncIOMotorGridFSBucket
from pymongo.errors import DuplicateKeyError

from services.certificates.domain import Certificate, Notification, PdfFile, Revocation
from services.certificates.ports import Change
from services.certificates.storage import MongoStore
from shared.errors import Transient
from shared.mongo.client import Database, connect, database
from shared.settings import MongoSettings
from tests.support.issuer import NOW

PENDING = Certificate("c-1", "enrollment-1", "learner-1", "course-1", "Ada Lovelace", "Engines", None)
FIELDS = {
    "enrollmentId": "enrollment-1",
    "userId": "learner-1",
    "courseId": "course-1",
    "recipientName": "Ada Lovelace",
}


async def test_a_pending_certificate_s_document_has_the_contract_s_fields(
    mongo_store: MongoStore, db: Database
) -> None:
    await mongo_store.claim([PENDING])

    assert await db["certificates"].find_one({}) == {
        "_id": "c-1",
        **FIELDS,
        "courseTitle": "Engines",
        "status": "pending",
        "issuedAt": None,
        "fileId": None,
        "attempts": 1,
    }


async def test_failure_and_revocation_are_there_only_when_they_are(mongo_store: MongoStore, db: Database) -> None:
    failed = PENDING.failed("user_missing")
    await mongo_store.claim([failed])
    first = await db["certificates"].find_one({})

    await mongo_store.advance([Change(failed, failed.revoked(Revocation(NOW, None)))])
    second = await db["certificates"].find_one({})

    assert first is not None
    assert second is not None
    assert first["failure"] == {"code": "user_missing"}
    assert first.keys() & {"revokedAt", "revokedReason", "instructorName"} == set()
    assert (second["status"], second["revokedAt"]) == ("revoked", NOW)
    assert "revokedReason" not in second


async def test_a_notification_s_document_has_the_contract_s_fields(mongo_store: MongoStore, db: Database) -> None:
    told = Notification("n-1", "learner-1", "certificate_ready", "Ready", "It is ready", "https://example.org/", NOW)
    await mongo_store.tell([told], email_due=NOW)
    due = await db["notifications"].find_one({})
    await mongo_store.emailed("n-1", NOW + 5)

    fields = {"_id": "n-1", "userId": "learner-1", "kind": "certificate_ready", "title": "Ready", "body": "It is ready"}
    fields |= {"link": "https://example.org/"}
    assert due == {**fields, "createdAt": NOW, "emailDue": NOW}
    assert await db["notifications"].find_one({}) == {**fields, "createdAt": NOW, "emailedAt": NOW + 5}


async def test_any_gridfs_client_reads_deletes_and_refuses_to_overwrite_a_kept_file(
    mongo_store: MongoStore, db: Database
) -> None:
    data = bytes(range(256)) * 1500
    await mongo_store.keep([PdfFile("file-1", "c-1", data)])
    bucket = AsyncIOMotorGridFSBucket(db)

    stream = await bucket.open_download_stream("file-1")

    assert await stream.read() == data
    assert (stream.length, stream.chunk_size, stream.filename) == (len(data), 255 * 1024, "c-1.pdf")
    assert stream.metadata == {"certificateId": "c-1", "contentType": "application/pdf"}
    await bucket.delete("file-1")
    assert await db["fs.chunks"].count_documents({}) == 0


async def test_what_any_gridfs_client_wrote_is_read(mongo_store: MongoStore, db: Database) -> None:
    await AsyncIOMotorGridFSBucket(db).upload_from_stream_with_id("file-1", "c-1.pdf", b"%PDF-1")

    assert await mongo_store.pdf("file-1") == b"%PDF-1"


async def test_a_file_whose_bytes_are_gone_counts_as_gone(mongo_store: MongoStore, db: Database) -> None:
    await mongo_store.keep([PdfFile("file-1", "c-1", b"%PDF-1")])
    await db["fs.chunks"].delete_many({})

    assert await mongo_store.pdf("file-1") is None

    await mongo_store.keep([PdfFile("file-1", "c-1", b"%PDF-1")])
    assert await mongo_store.pdf("file-1") == b"%PDF-1"


async def test_the_database_itself_refuses_a_second_certificate_of_an_enrollment(
    mongo_store: MongoStore, db: Database
) -> None:
    await mongo_store.claim([PENDING])

    with pytest.raises(DuplicateKeyError):
        await db["certificates"].insert_one({"_id": "c-2", **FIELDS})


async def test_the_indexes_may_be_there_already(mongo_store: MongoStore) -> None:
    await mongo_store.prepare()


async def test_a_database_that_does_not_answer_is_waited_for() -> None:
    settings = MongoSettings.model_validate({"uri": "mongodb://127.0.0.1:9/?directConnection=true", "timeout_ms": 100})
    client = connect(settings, service="certificates")
    store = MongoStore(database(client, settings), settings)

    with pytest.raises(Transient):
        await store.claim([PENDING])
    client.close()
