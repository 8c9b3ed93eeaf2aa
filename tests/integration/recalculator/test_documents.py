"""What the stored documents look like, and what the audit reads of them on a real database."""

import pytest

from services.recalculator.domain import Fact, Progress, Recalculated, recalculate
from services.recalculator.handlers import recalculate_enrollments
from services.recalculator.inspection import Difference, build_auditor
from services.recalculator.settings import RecalculatorSettings, Settings
from tests.support.fakes_recalculator import ENROLLED_AT
from tests.support.issuer import NOW
from tests.support.recalculator_worlds import RealWorld

PLATFORMS = {"userId": "learner-1", "courseId": "course-1", "enrolledAt": ENROLLED_AT}


@pytest.fixture
async def real(real: RealWorld) -> RealWorld:
    """One learner who has one of two lessons."""
    await real.platform.course("course-1", ["lesson-0", "lesson-1"], previews=["preview-1"])
    await real.platform.enroll("enrollment-1", "learner-1", "course-1")
    await real.platform.complete("learner-1", "lesson-0", "preview-1")
    return real


async def test_only_the_progress_fields_of_an_enrollment_are_written(real: RealWorld) -> None:
    await real.db["enrollments"].update_one({"_id": "enrollment-1"}, {"$set": {"purchaseId": "purchase-1"}})
    await recalculate_enrollments(["enrollment-1"], real.store)

    assert await real.document("enrollments", "enrollment-1") == {
        "_id": "enrollment-1",
        **PLATFORMS,
        "purchaseId": "purchase-1",
        "progressPercent": 50.0,
        "completedLessons": 1,
        "totalLessons": 2,
        "progressedAt": NOW,
        "revision": 1,
    }


async def test_completed_at_is_there_from_the_completion_on(real: RealWorld) -> None:
    await recalculate_enrollments(["enrollment-1"], real.store)
    await real.platform.complete("learner-1", "lesson-1", at=NOW + 1)
    await recalculate_enrollments(["enrollment-1"], real.store)

    assert (await real.document("enrollments", "enrollment-1"))["completedAt"] == NOW + 1


@pytest.mark.parametrize("absent", [{}, {"revision": None}, {"revision": 0, "completedAt": None, "progressPercent": 0}])
async def test_absent_null_and_zero_read_the_same_and_can_be_replaced(
    real: RealWorld, absent: dict[str, object]
) -> None:
    await real.db["enrollments"].replace_one({"_id": "enrollment-1"}, PLATFORMS | absent)

    found = await recalculate_enrollments(["enrollment-1"], real.store)

    assert found["enrollment-1"].before.progress == Progress()
    assert (await real.document("enrollments", "enrollment-1"))["revision"] == 1


async def test_a_completed_at_that_is_there_is_not_replaced_even_under_the_same_revision(real: RealWorld) -> None:
    new = (await real.store.enrollments(["enrollment-1"]))["enrollment-1"]
    await real.db["enrollments"].update_one({"_id": "enrollment-1"}, {"$set": {"completedAt": NOW - 9}})

    assert not await real.store.save([Recalculated(new, recalculate(new, {"lesson-0"}, [Fact("lesson-0", NOW)]))])
    found = await recalculate_enrollments(["enrollment-1"], real.store)
    assert found["enrollment-1"].after.progress.completed_at == NOW - 9


async def test_a_sweep_is_one_document_a_course(real: RealWorld) -> None:
    await real.store.request_sweeps({"course-1": NOW})
    assert await real.document("courseSweeps", "course-1") == {"_id": "course-1", "requestedAt": NOW, "revision": 1}

    [sweep] = await real.store.open_sweeps(10)
    await real.store.advance_sweep(sweep, "enrollment-1", NOW + 7)
    assert await real.document("courseSweeps", "course-1") == {
        "_id": "course-1",
        "requestedAt": NOW,
        "revision": 1,
        "cursor": "enrollment-1",
        "finishedAt": NOW + 7,
    }


async def test_the_auditor_reads_the_database_and_changes_nothing(real: RealWorld) -> None:
    own = RecalculatorSettings(audit_page=1, audit_settle_seconds=0)
    settings = Settings(mongo=real.settings, recalculator=own)
    await recalculate_enrollments(["enrollment-1"], real.store)
    await real.platform.complete("learner-1", "lesson-1")
    before = await real.document("enrollments", "enrollment-1")
    heard: list[tuple[int, int]] = []

    async with build_auditor(settings) as auditor:
        found = [d async for d in auditor.differences(lambda compared, total: heard.append((compared, total)))]

    expected = Progress(2, 2, 100.0, NOW)
    assert found == [Difference("enrollment-1", Progress(1, 2, 50.0), expected)]
    assert heard == [(1, 1)]
    assert await real.document("enrollments", "enrollment-1") == before


async def test_a_document_that_names_no_learner_holds_up_neither_sweep_nor_audit(real: RealWorld) -> None:
    for enrollment_id, torn in (
        ("enrollment-0", {}),
        ("enrollment-1a", {"userId": 1}),
        ("enrollment-3", {"userId": 2}),
    ):
        await real.db["enrollments"].insert_one({"_id": enrollment_id, "courseId": "course-1", **torn})
    await real.platform.enroll("enrollment-2", "learner-2", "course-1")

    async def page(after: str | None, limit: int) -> list[str]:
        return [e.enrollment_id for e in await real.store.enrollments_after(after, limit, course_id="course-1")]

    assert await page(None, 1) == ["enrollment-1"]
    assert await page(None, 2) == await page(None, 9) == ["enrollment-1", "enrollment-2"]
    assert await page("enrollment-1", 1) == ["enrollment-2"]
    assert await page("enrollment-2", 1) == []
    assert await recalculate_enrollments(["enrollment-0"], real.store) == {}
