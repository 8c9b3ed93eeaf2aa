"""What the audit reads, in memory and on real databases alike."""

from services.certificates.auditing import MongoAuditStore
from services.certificates.domain import Certificate, Notification, PdfFile
from services.certificates.storage import MongoStore
from shared.mongo.client import Database
from shared.settings import MongoSettings
from tests.integration.certificates.conftest import World
from tests.support.issuer import NOW

CERTIFICATE = Certificate("c-1", "enrollment-1", "learner-1", "course-1", "Ada Lovelace", "Engines", None)
TOLD = Notification("n-1", "learner-1", "certificate_ready", "Ready", "It is ready", "https://example.org/", NOW)
#: As large as several chunks.
LARGE = PdfFile.of(CERTIFICATE, b"%PDF-" + bytes(600_000))


async def test_completed_enrollments_come_page_by_page_in_the_order_of_their_ids(world: World) -> None:
    for n in (3, 1, 2, 0):
        at = None if n == 2 else NOW + n
        await world.platform.enroll(f"enrollment-{n}", f"learner-{n}", "course-1", completed_at=at)

    async def page(after: str | None, limit: int) -> list[tuple[str, str, int]]:
        found = await world.audit.completed_after(after, limit)
        return [(e.enrollment_id, e.user_id, e.completed_at) for e in found]

    assert await page(None, 2) == [("enrollment-0", "learner-0", NOW), ("enrollment-1", "learner-1", NOW + 1)]
    assert await page("enrollment-1", 2) == [("enrollment-3", "learner-3", NOW + 3)]
    assert await page("enrollment-3", 2) == []


async def test_certificates_are_counted(world: World) -> None:
    assert await world.audit.certificate_count() == 0
    await world.store.claim([CERTIFICATE])

    assert await world.audit.certificate_count() == 1


async def test_files_are_filed_until_they_are_discarded(world: World) -> None:
    small = PdfFile.of(CERTIFICATE, b"%PDF-small")
    await world.store.keep([small, LARGE])
    assert set(await world.audit.filed([small.file_id, LARGE.file_id, "unknown"])) == {small.file_id, LARGE.file_id}

    await world.store.discard([LARGE.file_id])

    assert set(await world.audit.filed([small.file_id, LARGE.file_id])) == {small.file_id}
    assert set(await world.audit.filed([])) == set()


async def test_what_was_told_is_found(world: World) -> None:
    await world.store.tell([TOLD])

    assert set(await world.audit.told(["n-1", "n-2"])) == {"n-1"}


async def test_a_file_of_which_a_chunk_is_missing_is_not_filed(
    mongo_store: MongoStore, db: Database, settings: MongoSettings
) -> None:
    audit = MongoAuditStore(db, settings)
    await mongo_store.keep([LARGE])
    await db["fs.chunks"].delete_one({"files_id": LARGE.file_id, "n": 1})
    assert await audit.filed([LARGE.file_id]) == set()

    await mongo_store.keep([LARGE])
    assert await audit.filed([LARGE.file_id]) == {LARGE.file_id}

    await db["fs.files"].delete_one({"_id": LARGE.file_id})
    assert await audit.filed([LARGE.file_id]) == set()


async def test_a_document_that_names_no_learner_holds_up_no_page(db: Database, settings: MongoSettings) -> None:
    whole = {"userId": "learner-1", "courseId": "course-1", "completedAt": NOW}
    for enrollment_id, document in (("a", {"completedAt": NOW}), ("b", whole), ("c", whole | {"userId": 1})):
        await db["enrollments"].insert_one({"_id": enrollment_id, **document})
    audit = MongoAuditStore(db, settings)

    assert [e.enrollment_id for e in await audit.completed_after(None, 1)] == ["b"]
    assert [e.enrollment_id for e in await audit.completed_after(None, 9)] == ["b"]
