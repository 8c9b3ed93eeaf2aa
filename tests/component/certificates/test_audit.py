"""What the audit finds wanting, and that the ordinary messages bring it: each kind of damage, named and healed."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from services.certificates.domain import KINDS, Revocation
from services.certificates.inspection import Auditor, Lack, Lacking
from shared.contracts.certificates import NotificationKind
from shared.contracts.ids import notification_id
from shared.kafka.records import Record
from tests.support.certifying import Certifying, course_completed, generate
from tests.support.fake_log import FakeLog
from tests.support.fakes_certificates import FakeCertificateStore, academy
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock

ENROLLMENT = "enrollment-1"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def log(clock: FakeClock) -> FakeLog:
    return FakeLog(clock, partitions=1)


@pytest.fixture
async def store(log: FakeLog, clock: FakeClock) -> FakeCertificateStore:
    """Ada's course is completed and all is well; Bert has not completed his."""
    school = academy(ENROLLMENT, "enrollment-2")
    school.enrolled["enrollment-0"] = ("learner-2", "course-1", None)
    log.add(course_completed(ENROLLMENT), course_completed("enrollment-2"))
    await Certifying(log, school, clock).process.run()
    return school


async def found(store: FakeCertificateStore) -> list[Lacking]:
    return [one async for one in Auditor(store, page=1, settle_seconds=0).lacks()]


async def kinds(store: FakeCertificateStore) -> list[Lack]:
    return [one.kind for one in await found(store)]


Handle = Callable[[Record], Awaitable[None]]


@pytest.fixture
def handle(log: FakeLog, store: FakeCertificateStore, clock: FakeClock) -> Handle:
    """A running service is given one record."""

    async def handled(record: Record) -> None:
        log.add(record)
        await Certifying(log, store, clock).process.run()

    return handled


async def test_nothing_is_wanting_where_all_is_well(store: FakeCertificateStore) -> None:
    assert await found(store) == []
    assert await Auditor(store, page=1, settle_seconds=0).among([ENROLLMENT, "enrollment-0", "unknown"]) == []


async def test_a_missing_certificate_is_made_and_told_of_once(store: FakeCertificateStore, handle: Handle) -> None:
    del store.stored[ENROLLMENT]
    assert await found(store) == [Lacking(ENROLLMENT, Lack.CERTIFICATE_MISSING, was_issued=True)]

    before = dict(store.notifications)
    await handle(course_completed(ENROLLMENT))

    assert await found(store) == []
    assert store.notifications == before


async def test_a_certificate_that_was_never_made_was_never_issued(store: FakeCertificateStore) -> None:
    await store.enroll("enrollment-3", "learner-1", "course-1", completed_at=NOW)

    assert await found(store) == [
        Lacking("enrollment-3", Lack.CERTIFICATE_MISSING),
        Lacking("enrollment-3", Lack.COURSE_COMPLETED_MISSING),
    ]


@pytest.mark.parametrize("status", ["pending", "rendered"])
async def test_a_half_made_certificate_is_finished_under_its_id(
    store: FakeCertificateStore, handle: Handle, status: str
) -> None:
    whole = store.stored[ENROLLMENT]
    half = replace(whole, issued_at=None)
    half = replace(half, status="pending", file_id=None) if status == "pending" else replace(half, status="rendered")
    store.stored[ENROLLMENT] = half
    assert await kinds(store) == [Lack.CERTIFICATE_UNFINISHED]

    await handle(course_completed(ENROLLMENT))

    assert await found(store) == []
    assert store.stored[ENROLLMENT].certificate_id == whole.certificate_id


@pytest.mark.parametrize("status", ["rendered", "issued"])
async def test_a_pdf_that_is_gone_comes_back_when_the_certificate_is_made_again(
    store: FakeCertificateStore, handle: Handle, status: str
) -> None:
    whole = store.stored[ENROLLMENT]
    store.stored[ENROLLMENT] = replace(whole, status=status)  # type: ignore[arg-type]
    file = store.files.pop(whole.file_id or "")
    told = dict(store.notifications)
    assert await found(store) == [Lacking(ENROLLMENT, Lack.PDF_MISSING, whole.certificate_id)]

    await handle(generate(ENROLLMENT))

    assert await found(store) == []
    assert store.files[whole.file_id or ""] == file
    assert replace(store.stored[ENROLLMENT], attempts=1) == whole
    assert store.notifications == told


@pytest.mark.parametrize("kind", KINDS)
async def test_a_notification_that_is_gone_comes_back_once(
    store: FakeCertificateStore, handle: Handle, kind: NotificationKind
) -> None:
    identity = notification_id(kind, ENROLLMENT)
    del store.notifications[identity]
    expected = {"course_completed": Lack.COURSE_COMPLETED_MISSING, "certificate_ready": Lack.CERTIFICATE_READY_MISSING}
    assert await kinds(store) == [expected[kind]]

    await handle(course_completed(ENROLLMENT))
    again = store.notifications[identity]
    await handle(course_completed(ENROLLMENT))

    assert await found(store) == []
    assert store.notifications[identity] == again
    assert len(store.notifications) == 4


async def test_a_revoked_certificate_needs_no_pdf_and_nobody_is_told_that_it_is_ready(
    store: FakeCertificateStore,
) -> None:
    store.stored[ENROLLMENT] = store.stored[ENROLLMENT].revoked(Revocation(NOW, None))
    store.files.clear()
    store.stored["enrollment-2"] = replace(store.stored["enrollment-2"], file_id=None)
    del store.notifications[notification_id("certificate_ready", ENROLLMENT)]

    assert await found(store) == []


@pytest.mark.parametrize(
    ("code", "meanwhile", "worth_trying"),
    [
        ("user_missing", lambda store: None, True),
        ("user_missing", lambda store: store.users.clear(), False),
        ("course_missing", lambda store: store.users.clear(), False),
        ("glyph_missing", lambda store: None, False),
        ("glyph_missing", lambda store: store.users.update({"learner-1": ("Ada King", None)}), True),
        ("render_failed", lambda store: store.courses.update({"course-1": ("Engines", None)}), True),
        ("render_failed", lambda store: None, False),
    ],
)
async def test_a_failed_certificate_is_tried_again_only_where_its_cause_may_be_gone(
    store: FakeCertificateStore, code: str, meanwhile: Callable[[FakeCertificateStore], None], *, worth_trying: bool
) -> None:
    whole = store.stored[ENROLLMENT]
    store.stored[ENROLLMENT] = replace(whole, status="failed", failure=code, issued_at=None, file_id=None)
    meanwhile(store)

    [one] = await found(store)

    assert one == Lacking(ENROLLMENT, Lack.CERTIFICATE_FAILED, whole.certificate_id, code, worth_trying)


async def test_a_certificate_that_failed_again_is_not_worth_another_try(
    store: FakeCertificateStore, handle: Handle
) -> None:
    store.users["learner-1"] = ("\U00013080", None)
    failed = replace(store.stored[ENROLLMENT], status="failed", failure="glyph_missing", issued_at=None, file_id=None)
    store.stored[ENROLLMENT] = failed
    assert [one.worth_trying for one in await found(store)] == [True]

    await handle(generate(ENROLLMENT))

    assert [(one.kind, one.worth_trying) for one in await found(store)] == [(Lack.CERTIFICATE_FAILED, False)]


async def test_what_is_on_its_way_is_not_reported(store: FakeCertificateStore) -> None:
    certificate = store.stored.pop(ENROLLMENT)

    def arrives(call: str) -> None:
        if call == "completed" and store.calls.count("certificates") >= 1:
            store.stored[ENROLLMENT] = certificate

    store.calls.clear()
    store.meanwhile = arrives

    assert await found(store) == []


async def test_everything_is_looked_at_page_by_page(store: FakeCertificateStore) -> None:
    heard: list[tuple[int, int]] = []
    auditor = Auditor(store, page=1, settle_seconds=0)

    assert [one async for one in auditor.lacks(lambda seen, of: heard.append((seen, of)))] == []

    assert heard == [(1, 2), (2, 2)]
