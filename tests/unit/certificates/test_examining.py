"""What a verification says of certificates and notifications: which have no completion, and whom it then asks about."""

from dataclasses import replace

import pytest

from services.certificates.domain import (
    Certificate,
    Enrollment,
    Links,
    Notification,
    certificate_ready,
    course_completed,
)
from services.certificates.handlers.examining import (
    Holding,
    examine,
    strays_among_certificates,
    strays_among_notifications,
)
from shared.contracts.certificates import CertificateStatus
from shared.verification import Defect, Flaw, Unjudged
from tests.support.fakes_certificates import FakeCertificateStore, academy
from tests.support.issuer import NOW

COMPLETED, OPEN, GONE = "enrollment-completed", "enrollment-open", "enrollment-gone"
LINKS = Links("https://learn.example.org")


@pytest.fixture
def store() -> FakeCertificateStore:
    """Ada completed one enrollment, and has one of another course that she did not complete."""
    school = academy(COMPLETED)
    school.enrolled[OPEN] = ("learner-1", "course-2", None)
    return school


def certificate(enrollment_id: str, *, file_id: str | None = None) -> Certificate:
    return Certificate(
        f"certificate-of-{enrollment_id}", enrollment_id, "learner-1", "course-1", "Ada Lovelace", "Engines", None,
        status="issued", issued_at=NOW, file_id=file_id,
    )  # fmt: skip


def congratulation(enrollment_id: str, *, user_id: str = "learner-1", course_id: str = "course-1") -> Notification:
    return course_completed(Enrollment(enrollment_id, user_id, course_id, NOW), "Engines", LINKS, NOW)


async def test_a_certificate_without_completion_is_named_and_not_judged_where_its_enrollment_is_gone(
    store: FakeCertificateStore,
) -> None:
    certificates = [certificate(key) for key in (COMPLETED, OPEN, GONE)]

    assert await strays_among_certificates(certificates, store) == [
        Flaw(Defect.CERTIFICATE_WITHOUT_COMPLETION, OPEN, OPEN),
        Flaw(Unjudged.ENROLLMENT_GONE, GONE, GONE),
    ]


async def test_where_every_certificate_has_its_completion_nothing_more_is_asked_for(
    store: FakeCertificateStore,
) -> None:
    assert await strays_among_certificates([certificate(COMPLETED)], store) == []
    assert store.calls == ["completed"]


async def test_a_notification_without_completion_is_named_and_not_judged_where_its_learner_has_no_enrollment(
    store: FakeCertificateStore,
) -> None:
    right, stray = congratulation(COMPLETED), congratulation(OPEN, course_id="course-2")
    of_a_stranger = congratulation(GONE, user_id="learner-2")

    assert await strays_among_notifications([right, stray, of_a_stranger], store) == [
        Flaw(Defect.NOTIFICATION_WITHOUT_COMPLETION, stray.notification_id, ""),
        Flaw(Unjudged.ENROLLMENT_GONE, of_a_stranger.notification_id, ""),
    ]


async def test_a_notification_that_says_again_what_was_told_under_its_own_id_is_doubled(
    store: FakeCertificateStore,
) -> None:
    told = congratulation(COMPLETED)
    store.notifications[told.notification_id] = told
    again = replace(told, notification_id="another")

    assert await strays_among_notifications([told, again], store) == [Flaw(Defect.DOUBLED_NOTIFICATION, "another", "")]


async def test_where_every_notification_has_its_completion_nothing_more_is_asked_for(
    store: FakeCertificateStore,
) -> None:
    assert await strays_among_notifications([congratulation(COMPLETED)], store) == []
    assert store.calls == ["completed_by"]


async def test_a_completed_enrollment_holds_its_certificate_and_its_notifications(store: FakeCertificateStore) -> None:
    whole = certificate(COMPLETED, file_id="file-1")
    told = [congratulation(COMPLETED), certificate_ready(whole, LINKS)]
    store.stored[COMPLETED], store.files["file-1"] = whole, b"pdf"
    store.notifications = {notification.notification_id: notification for notification in told}

    assert await examine([COMPLETED, OPEN], store) == [Holding(COMPLETED, [whole], told, [])]


@pytest.mark.parametrize(
    ("status", "file_id", "flaws"),
    [
        (None, None, [Defect.MISSING_CERTIFICATE]),
        ("pending", None, [Defect.UNFINISHED_CERTIFICATE, Defect.MISSING_NOTIFICATION]),
        ("rendered", "file-1", [Defect.UNFINISHED_CERTIFICATE, Defect.MISSING_NOTIFICATION]),
        ("failed", None, [Defect.MISSING_NOTIFICATION]),
        ("revoked", None, [Defect.MISSING_NOTIFICATION]),
        ("revoked", "gone", [Defect.MISSING_NOTIFICATION]),
        ("issued", "file-1", [Defect.MISSING_NOTIFICATION] * 2),
        ("issued", "gone", [Defect.MISSING_FILE, *[Defect.MISSING_NOTIFICATION] * 2]),
        ("issued", None, [Unjudged.ISSUED_WITHOUT_FILE, *[Defect.MISSING_NOTIFICATION] * 2]),
    ],
)
async def test_an_enrollment_of_which_nothing_was_told_lacks_what_its_certificate_asks_for(
    store: FakeCertificateStore,
    status: CertificateStatus | None,
    file_id: str | None,
    flaws: list[Defect | Unjudged],
) -> None:
    store.files["file-1"] = b"pdf"
    if status is not None:
        store.stored[COMPLETED] = replace(certificate(COMPLETED, file_id=file_id), status=status)

    [holding] = await examine([COMPLETED], store)

    assert holding.flaws == [Flaw(flaw, COMPLETED, COMPLETED) for flaw in flaws]


async def test_a_second_certificate_of_an_enrollment_is_named(store: FakeCertificateStore) -> None:
    store.stored[COMPLETED] = replace(certificate(COMPLETED), status="revoked")
    store.doubles.append(replace(certificate(COMPLETED), certificate_id="another", status="revoked"))

    [holding] = await examine([COMPLETED], store)

    assert [flaw.kind for flaw in holding.flaws] == [Defect.DOUBLED_CERTIFICATE, Defect.MISSING_NOTIFICATION]


async def test_files_are_not_asked_for_where_no_certificate_names_one(store: FakeCertificateStore) -> None:
    store.stored[COMPLETED] = certificate(COMPLETED)

    await examine([COMPLETED], store)

    assert "whole_files" not in store.calls
