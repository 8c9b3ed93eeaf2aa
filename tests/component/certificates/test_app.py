"""The room put together: a real page from a completed course, e-mails where they are wanted, nothing read at import."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.certificates import delivery
from services.certificates.app import build_app
from services.certificates.delivery import Mailing, OutgoingEmail, SmtpSender
from services.certificates.domain import Certificate, Failure, Links, Making, Notification
from services.certificates.handlers import CertificateIssuer, new_certificate_id
from services.certificates.render import Renderer, Typesetting
from services.certificates.settings import CertificatesSettings, EmailSettings, Settings
from shared.errors import Fatal
from tests.support.certificate_page import words
from tests.support.fakes_certificates import FakeCertificateStore, FakeMailServer, FakeTypesetter
from tests.support.issuer import DAY, NOW
from tests.support.key_set import FakeClock

LINKS = Links("https://learn.example.org")
DRAFT = Certificate("c0ffee", "enrollment-1", "learner-1", "course-1", "Ada Lovelace", "Engines", "Charles Babbage")
READY = Notification("n-1", "learner-1", "certificate_ready", "Certificate ready", "It is ready", "https://x/pdf", NOW)


async def test_a_completed_course_becomes_a_page_with_its_day_its_id_and_where_to_verify_it(
    store: FakeCertificateStore, clock: FakeClock
) -> None:
    completed_at = int(datetime(2026, 11, 22, 23, 59, tzinfo=UTC).timestamp() * 1000)
    await store.enroll("enrollment-1", "learner-1", "course-1", completed_at=completed_at)
    await store.user("learner-2", "\U00013080")
    await store.enroll("enrollment-2", "learner-2", "course-1", completed_at=completed_at)
    typesetting = Typesetting(CertificatesSettings(), LINKS)

    async with typesetting.running():
        await typesetting.recover()
        issuer = CertificateIssuer(store, typesetting, LINKS, clock, new_certificate_id)
        made = await issuer.issue(["enrollment-1", "enrollment-2"])

    certificate = made["enrollment-1"].certificate
    said = words(store.files[certificate.file_id or ""])
    for expected in (
        "Ada Lovelace",
        "Analytical Engines",
        "Charles Babbage",
        "22 November 2026",
        certificate.certificate_id,
        f"https://learn.example.org/v1/certificates/{certificate.certificate_id}",
    ):
        assert expected in said
    assert made["enrollment-2"].certificate.failure == "glyph_missing"


async def test_the_page_says_the_same_whenever_it_is_made_so_its_file_has_the_same_id() -> None:
    typesetting = Typesetting(CertificatesSettings(), LINKS)
    making = Making(DRAFT, DRAFT, NOW, again=False)

    async with typesetting.running():
        first, second = [await typesetting.typeset([making]) for _ in range(2)]

    assert first == second
    assert not isinstance(first[0], Failure)


async def test_without_rendering_no_worker_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr(Renderer, "start", refuse)

    async with Typesetting(CertificatesSettings(rendering=False), LINKS).running():
        pass


def test_ids_hold_128_random_bits_in_characters_that_every_address_takes() -> None:
    ids = {new_certificate_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(len(bytes.fromhex(certificate_id)) == 16 for certificate_id in ids)


@pytest.mark.parametrize("enabled", [True, False])
async def test_emails_are_looked_after_in_the_background_where_they_are_wanted(
    store: FakeCertificateStore, monkeypatch: pytest.MonkeyPatch, *, enabled: bool
) -> None:
    monkeypatch.setattr(delivery, "_EMAIL_SECONDS", 0)
    settings = Settings(certificates=CertificatesSettings(email=EmailSettings(enabled=enabled)))
    server = FakeMailServer()
    await store.tell([READY], email_due=0)

    usual = len(build_app(Settings(), store=store).background)
    service = build_app(settings, store=store, renderer=FakeTypesetter(), email=server)
    for work in service.background[usual:]:
        await work()

    assert server.accepted == ([("n-1", "ada@example.org")] if enabled else [])


async def test_who_completed_and_has_no_certificate_is_counted_in_the_background_and_failures_do_not_hide_waits(
    store: FakeCertificateStore, clock: FakeClock
) -> None:
    registry = CollectorRegistry()
    settings = Settings(certificates=CertificatesSettings(uncertified_seconds=0.001))
    service = build_app(settings, store=store, renderer=FakeTypesetter(), clock=clock, registry=registry)
    [count] = [work for work in service.background if isinstance(work, partial)]

    def shown() -> tuple[float | None, ...]:
        """How many wait, how long the first has, and how many failed."""
        name = "lesson_progress_uncertified_enrollments"
        waiting, failed = (registry.get_sample_value(name, {"status": status}) for status in ("waiting", "failed"))
        return waiting, registry.get_sample_value("lesson_progress_uncertified_seconds"), failed

    assert shown() == (0, 0, 0)
    await store.enroll("enrollment-2", "learner-1", "course-1", completed_at=NOW - 90_000)
    await store.enroll("enrollment-3", "learner-1", "course-1", completed_at=NOW - 31 * DAY)
    await store.user("learner-2", "\U00013080")
    await store.enroll("enrollment-4", "learner-2", "course-1", completed_at=NOW - 95_000)
    await count()
    assert shown() == (3, 95, 0)

    issuer = CertificateIssuer(store, FakeTypesetter(), LINKS, clock, new_certificate_id)
    await issuer.issue(["enrollment-4"])
    await count()
    assert shown() == (2, 90, 1)

    await issuer.issue(["enrollment-2"])
    await count()
    assert shown() == (1, 0, 1)


async def test_an_email_says_what_the_notification_says_under_an_id_of_the_sender_s_domain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[OutgoingEmail] = []

    async def send(_: Any, message: OutgoingEmail) -> None:
        sent.append(message)

    monkeypatch.setattr(SmtpSender, "send", send)

    await Mailing(EmailSettings(sender="certificates@learn.example.org"), FakeClock()).send(READY, "ada@example.org")

    [email] = sent
    assert (email.message_id, email.to) == ("<n-1@learn.example.org>", "ada@example.org")
    assert (email.subject, email.body) == ("Certificate ready", "It is ready\n\nhttps://x/pdf\n")


def test_a_sender_that_is_no_address_matters_only_where_emails_are_wanted() -> None:
    def build(*, enabled: bool) -> None:
        email = EmailSettings(enabled=enabled, sender="nobody")
        build_app(Settings(certificates=CertificatesSettings(email=email)))

    build(enabled=False)
    with pytest.raises(Fatal):
        build(enabled=True)
