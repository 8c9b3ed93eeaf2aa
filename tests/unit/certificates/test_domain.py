"""What a certificate may become, and what its learner is told."""

from dataclasses import replace

import pytest

from services.certificates.domain import (
    RENDER_FAILED,
    Enrollment,
    Failure,
    Links,
    LostCertificate,
    Particulars,
    PdfFile,
    Revocation,
    certificate_ready,
    course_completed,
    making,
    new_certificate,
)
from shared.contracts.certificates import CertificateStatus
from tests.support.issuer import NOW

ENROLLMENT = Enrollment("enrollment-1", "learner-1", "course-1", NOW)
ADA = Particulars("Ada Lovelace", "Analytical Engines", "Charles Babbage")
LINKS = Links("https://learn.example.org/")
PENDING = new_certificate("certificate-1", ENROLLMENT, ADA)
ISSUED = PENDING.rendered("file-1").issued(NOW)


@pytest.mark.parametrize(
    ("particulars", "code"),
    [(replace(ADA, recipient_name=None), "user_missing"), (replace(ADA, course_title=None), "course_missing")],
)
def test_without_its_user_or_course_a_certificate_begins_failed(particulars: Particulars, code: str) -> None:
    certificate = new_certificate("certificate-1", ENROLLMENT, particulars)

    assert (certificate.status, certificate.failure) == ("failed", code)


def test_the_moment_of_issue_is_set_once() -> None:
    assert ISSUED.issued(NOW + 1).issued_at == NOW


@pytest.mark.parametrize("status", ["pending", "rendered", "issued", "failed"])
def test_only_an_operator_has_a_certificate_made_that_is_not_pending(status: CertificateStatus) -> None:
    certificate = replace(PENDING, status=status)

    assert (making(certificate, ADA, NOW, new=True, again=False) is not None) == (status == "pending")
    assert making(certificate, ADA, NOW, new=True, again=True) is not None


def test_nothing_is_made_of_a_revoked_certificate_whoever_asks() -> None:
    assert making(replace(ISSUED, status="revoked"), ADA, NOW, new=True, again=True) is None


def test_a_pending_certificate_is_finished_with_the_words_it_was_claimed_with() -> None:
    renamed = replace(ADA, recipient_name="Ada King")

    finished, afresh = (making(PENDING, renamed, NOW, new=True, again=again) for again in (False, True))

    assert finished is not None
    assert afresh is not None
    assert (finished.draft.recipient_name, afresh.draft.recipient_name) == ("Ada Lovelace", "Ada King")


def test_an_issued_certificate_that_cannot_be_made_again_stays_as_it_was() -> None:
    remade = making(ISSUED, replace(ADA, recipient_name="?"), NOW, new=True, again=True)
    assert remade is not None

    after = remade.made(Failure("glyph_missing"), NOW)

    assert after == replace(ISSUED, failure="glyph_missing")


def test_an_issued_certificate_whose_user_is_gone_keeps_the_name_it_was_issued_with() -> None:
    remade = making(ISSUED, replace(ADA, recipient_name=None), NOW, new=True, again=True)

    assert remade is not None
    assert remade.draft == replace(ISSUED, failure="user_missing")


def test_an_issued_certificate_that_is_made_again_keeps_its_id_its_moment_and_stays_issued() -> None:
    remade = making(ISSUED, replace(ADA, recipient_name="Ada King"), NOW, new=True, again=True)
    assert remade is not None

    after = remade.made(PdfFile("file-2", "certificate-1", b"pdf"), NOW + 1)

    assert after == replace(ISSUED, recipient_name="Ada King", file_id="file-2", replaced_file_id="file-1")


def test_a_certificate_that_failed_leaves_its_failure_behind_when_it_is_made() -> None:
    failed = new_certificate("certificate-1", ENROLLMENT, replace(ADA, recipient_name=None))
    made = making(failed, ADA, NOW, new=True, again=True)
    assert made is not None

    after = made.made(PdfFile("file-1", "certificate-1", b"pdf"), NOW)

    assert (after.status, after.failure, after.recipient_name) == ("rendered", None, "Ada Lovelace")


def test_a_file_has_the_same_id_for_the_same_bytes_of_the_same_certificate_alone() -> None:
    other = replace(PENDING, certificate_id="certificate-2")

    ids = [
        PdfFile.of(c, data).file_id for c, data in [(PENDING, b"a"), (PENDING, b"a"), (PENDING, b"b"), (other, b"a")]
    ]

    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_a_file_is_kept_as_the_one_of_its_certificate() -> None:
    file = PdfFile.of(PENDING, b"pdf")

    assert (file.certificate_id, file.data) == (PENDING.certificate_id, b"pdf")


def test_what_is_made_or_issued_has_failed_no_longer() -> None:
    failed = replace(PENDING, failure=RENDER_FAILED)

    assert failed.rendered("file-1").failure is None
    assert failed.issued(NOW).failure is None


def test_a_learner_is_congratulated_by_the_course_s_name_and_led_to_it() -> None:
    told = course_completed(replace(ENROLLMENT, course_id="a/b c"), "Analytical\n Engines", LINKS, NOW)

    assert told.body == "Congratulations! You've completed Analytical Engines"
    assert told.link == "https://learn.example.org/courses/a%2Fb%20c"
    assert (told.user_id, told.kind, told.created_at) == ("learner-1", "course_completed", NOW)


@pytest.mark.parametrize("title", [None, "", " \t"])
def test_a_course_without_a_name_is_your_course(title: str | None) -> None:
    assert course_completed(ENROLLMENT, title, LINKS, NOW).body == "Congratulations! You've completed your course"


def test_a_notification_s_body_has_500_characters_at_most() -> None:
    longest = 500 - len("Congratulations! You've completed ")

    whole, cut = (course_completed(ENROLLMENT, "🎓" * length, LINKS, NOW).body for length in (longest, longest + 1))

    assert (len(whole), whole[-1]) == (500, "🎓")
    assert (len(cut), cut[-1]) == (500, "…")


def test_the_certificate_s_notification_leads_to_the_pdf_and_is_as_old_as_the_issue() -> None:
    told = certificate_ready(ISSUED, LINKS)

    assert told.body == "Your certificate is ready to download"
    assert told.link == "https://learn.example.org/v1/certificates/certificate-1/pdf"
    assert told.created_at == NOW


def test_a_revocation_is_kept_with_its_moment_and_its_reason() -> None:
    withdrawn = ISSUED.revoked(Revocation(at=NOW, reason="issued by mistake"))
    assert (withdrawn.status, withdrawn.revoked_at, withdrawn.revoked_reason) == ("revoked", NOW, "issued by mistake")


@pytest.mark.parametrize("particulars", [ADA, Particulars(None, None, None)], ids=["all is there", "nothing is there"])
def test_a_lost_certificate_that_was_withdrawn_is_written_withdrawn(particulars: Particulars) -> None:
    lost = LostCertificate("certificate-1", "enrollment-1", "learner-1", "course-1", NOW, revoked_at=NOW + 5)

    written = lost.restored(particulars)

    assert (written.status, written.issued_at, written.revoked_at, written.failure) == ("revoked", NOW, NOW + 5, None)
