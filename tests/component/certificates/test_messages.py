"""What goes in and what comes out: events, replies, refusals, dead letters, log lines, metrics."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from shared.contracts.ids import deterministic_id, notification_id
from shared.contracts.topics import CERTIFICATE_ISSUED, COURSE_COMPLETED, NOTIFICATION_CREATED, dead_letters_of
from tests.support.builders import envelope, token
from tests.support.certifying import (
    PUBLIC_URL,
    Certifying,
    course_completed,
    events,
    generate,
    header,
    published,
    replies,
    revoke,
    sameness,
)
from tests.support.fake_log import FakeLog
from tests.support.fakes_certificates import FakeCertificateStore
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock

ONE = "enrollment-1"
DEAD_LETTERS = dead_letters_of("certificates")
CERTIFICATE = {"certificateId": "certificate-1", "enrollmentId": ONE, "userId": "learner-1", "courseId": "course-1"}
ISSUED = {**CERTIFICATE, "issuedAt": NOW, "verificationUrl": f"{PUBLIC_URL}/v1/certificates/certificate-1"}
CONGRATULATION = {
    "notificationId": notification_id("course_completed", ONE),
    "userId": "learner-1",
    "kind": "course_completed",
    "title": "Course completed",
    "body": "Congratulations! You've completed Analytical Engines",
    "link": f"{PUBLIC_URL}/courses/course-1",
    "createdAt": NOW,
}
READY = {
    "notificationId": notification_id("certificate_ready", ONE),
    "userId": "learner-1",
    "kind": "certificate_ready",
    "title": "Certificate ready",
    "body": "Your certificate is ready to download",
    "link": f"{PUBLIC_URL}/v1/certificates/certificate-1/pdf",
    "createdAt": NOW,
}


class TestCompletion:
    async def test_it_makes_a_certificate_and_tells_it(self, certificates: Certifying, log: FakeLog) -> None:
        log.add(course_completed())

        await certificates.process.run()

        assert published(log, CERTIFICATE_ISSUED) == [("certificate.issued.v1", ISSUED)]
        assert published(log, NOTIFICATION_CREATED) == [
            ("notification.created.v1", CONGRATULATION),
            ("notification.created.v1", READY),
        ]
        assert certificates.process.names == ["issued"]

    async def test_its_events_have_the_contract_s_ids_keys_and_times(
        self, certificates: Certifying, log: FakeLog
    ) -> None:
        log.add(course_completed())

        await certificates.process.run()

        [issued] = log.read(CERTIFICATE_ISSUED)
        assert (issued.key, header(issued, "ce_id")) == (
            b"enrollment-1",
            deterministic_id("certificate.issued.v1", "certificate-1"),
        )
        assert header(issued, "ce_time") == "2027-01-15T08:00:00.000Z"
        assert header(issued, "ce_causationid") == "completed:enrollment-1"
        assert {record.key for record in log.read(NOTIFICATION_CREATED)} == {b"learner-1"}
        assert [header(record, "ce_id") for record in log.read(NOTIFICATION_CREATED)] == [
            deterministic_id("notification.created.v1", str(told["notificationId"])) for told in (CONGRATULATION, READY)
        ]

    async def test_it_is_told_again_in_the_same_words_however_often_it_comes(
        self, certificates: Certifying, log: FakeLog, clock: FakeClock
    ) -> None:
        log.add(course_completed())
        await certificates.process.run()
        clock.move(60_000)
        log.add(course_completed(), course_completed(partition=1))

        await certificates.process.run()

        assert len(events(log)) == 9
        assert len(sameness(log)) == 3
        assert all(len(copies) == 1 for copies in sameness(log).values())
        assert certificates.process.names == ["issued", "issued_before", "issued_before"]

    async def test_one_certificate_follows_from_a_thousand_copies_in_one_batch(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        log.add(*(course_completed(partition=number % 2) for number in range(1000)))

        await certificates.process.run()

        assert len(store.stored) == len(store.files) == 1
        assert certificates.process.metric("lesson_progress_certificates_total", outcome="issued") == 1

    async def test_of_an_enrollment_that_is_not_completed_it_is_a_dead_letter_and_its_neighbours_go_on(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        await store.enroll("enrollment-2", "learner-1", "course-1", completed_at=None)
        log.add(course_completed("enrollment-2"), course_completed("unknown"), course_completed())

        await certificates.process.run()

        letters = log.read(DEAD_LETTERS)
        assert [header(letter, "x-dead-letter-error") for letter in letters] == ["EnrollmentNotCompleted"] * 2
        assert list(store.stored) == [ONE]
        assert certificates.process.names == ["dead_letter", "dead_letter", "issued"]

    async def test_when_it_cannot_be_made_the_learner_is_congratulated_and_the_record_is_done(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        store.users.clear()
        log.add(course_completed())

        await certificates.process.run()

        assert published(log, CERTIFICATE_ISSUED) == []
        assert published(log, NOTIFICATION_CREATED) == [("notification.created.v1", CONGRATULATION)]
        assert certificates.process.names == ["failed"]

    async def test_it_waits_while_no_worker_typesets_and_is_never_a_dead_letter(
        self, certificates: Certifying, log: FakeLog
    ) -> None:
        certificates.typesetter.away = True
        log.add(course_completed())
        for _ in range(10):
            await certificates.process.batch()
            await certificates.process.woken()

        certificates.typesetter.away = False
        await certificates.process.run()

        assert published(log, CERTIFICATE_ISSUED) == [("certificate.issued.v1", ISSUED)]
        assert log.read(DEAD_LETTERS) == []

    async def test_the_log_line_names_who_completed_what_and_when(
        self, certificates: Certifying, log: FakeLog, clock: FakeClock
    ) -> None:
        log.add(course_completed())
        clock.move(1000)

        with capture_logs() as lines:
            await certificates.process.run()

        [line] = [line for line in lines if line["event"] == "certificate.triggered"]
        assert (line["userId"], line["courseId"], line["timestamp"]) == ("learner-1", "course-1", NOW)
        assert line["outcome"] == "issued"


class TestMakingAgain:
    async def test_the_operator_hears_the_same_id_and_the_new_words_are_stored(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        log.add(course_completed())
        await certificates.process.run()
        await store.user("learner-1", "Ada King")
        log.add(generate())

        await certificates.process.run()

        assert replies(log) == [("certificate.requested.v1", {"certificateId": "certificate-1", "status": "issued"})]
        assert store.stored[ONE].recipient_name == "Ada King"
        assert len(store.notifications) == 2
        assert len(sameness(log)) == 3
        assert certificates.process.names == ["issued", "made_again"]

    async def test_a_failed_certificate_is_issued_and_told(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        store.users.clear()
        log.add(course_completed())
        await certificates.process.run()
        await store.user("learner-1", "Ada Lovelace")
        log.add(generate())

        await certificates.process.run()

        assert published(log, CERTIFICATE_ISSUED) == [("certificate.issued.v1", ISSUED)]
        assert published(log, NOTIFICATION_CREATED)[-1] == ("notification.created.v1", READY)
        assert replies(log) == [("certificate.requested.v1", {"certificateId": "certificate-1", "status": "issued"})]

    @pytest.mark.parametrize("issued_before", [True, False])
    async def test_what_cannot_be_made_again_is_answered_failed(
        self,
        certificates: Certifying,
        log: FakeLog,
        store: FakeCertificateStore,
        issued_before: bool,  # noqa: FBT001
    ) -> None:
        if issued_before:
            log.add(course_completed())
            await certificates.process.run()
        store.users.clear()
        log.add(generate())

        await certificates.process.run()

        assert replies(log) == [("certificate.requested.v1", {"certificateId": "certificate-1", "status": "failed"})]
        assert store.stored[ONE].status == ("issued" if issued_before else "failed")

    async def test_a_failed_attempt_at_an_issued_one_is_forgotten_by_the_next_completion(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        log.add(course_completed())
        await certificates.process.run()
        store.users.clear()
        log.add(generate())
        await certificates.process.run()
        log.add(course_completed())

        await certificates.process.run()

        assert certificates.process.names == ["issued", "failed", "issued_before"]

    @pytest.mark.parametrize("enrollment_id", ["unknown", "enrollment-2"])
    async def test_without_a_completed_enrollment_the_answer_is_404(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore, enrollment_id: str
    ) -> None:
        await store.enroll("enrollment-2", "learner-1", "course-1", completed_at=None)
        log.add(generate(enrollment_id))

        await certificates.process.run()

        assert replies(log) == [("command.rejected.v1", {"code": 404, "reason": "Certificate not found"})]
        assert log.read(DEAD_LETTERS) == []


class TestRevocation:
    async def test_it_is_told_and_answered_with_the_command_s_time(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        log.add(course_completed())
        await certificates.process.run()
        log.add(revoke(reason="A mistake", timestamp=NOW + 5))

        await certificates.process.run()

        revoked = ("certificate.revoked.v1", {**CERTIFICATE, "revokedAt": NOW + 5})
        assert published(log, CERTIFICATE_ISSUED)[-1] == revoked
        assert header(log.read(CERTIFICATE_ISSUED)[-1], "ce_id") == deterministic_id(revoked[0], "certificate-1")
        assert replies(log) == [("certificate.requested.v1", {"certificateId": "certificate-1", "status": "revoked"})]
        assert store.stored[ONE].revoked_reason == "A mistake"

    async def test_the_first_one_counts_and_is_told_again(self, certificates: Certifying, log: FakeLog) -> None:
        log.add(course_completed())
        await certificates.process.run()
        log.add(revoke(timestamp=NOW + 5), revoke(timestamp=NOW + 6))
        await certificates.process.run()
        log.add(revoke(timestamp=NOW + 7))

        await certificates.process.run()

        told = [data for kind, data in published(log, CERTIFICATE_ISSUED) if kind == "certificate.revoked.v1"]
        assert told == [{**CERTIFICATE, "revokedAt": NOW + 5}] * 3
        assert certificates.process.metric("lesson_progress_certificates_total", outcome="revoked") == 1

    async def test_a_certificate_that_was_never_issued_can_be_revoked(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        store.users.clear()
        log.add(course_completed())
        await certificates.process.run()
        log.add(revoke())

        await certificates.process.run()

        assert store.stored[ONE].status == "revoked"
        assert replies(log)[-1][1]["status"] == "revoked"

    async def test_revoked_stays_revoked_whatever_is_repeated_and_its_last_word_is_the_revocation(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        log.add(course_completed())
        await certificates.process.run()
        log.add(revoke())
        await certificates.process.run()
        log.add(course_completed(), generate())

        await certificates.process.run()

        assert store.stored[ONE].status == "revoked"
        assert [kind for kind, _ in published(log, CERTIFICATE_ISSUED)][-2:] == [
            "certificate.issued.v1",
            "certificate.revoked.v1",
        ]
        assert replies(log)[-1][1] == {"certificateId": "certificate-1", "status": "revoked"}

    async def test_in_a_batch_it_comes_first_and_has_the_last_word(
        self, certificates: Certifying, log: FakeLog
    ) -> None:
        log.add(course_completed())
        await certificates.process.run()
        log.add(course_completed(), revoke())

        await certificates.process.run()

        assert published(log, CERTIFICATE_ISSUED)[-1][0] == "certificate.revoked.v1"

    async def test_it_waits_for_no_page(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        log.add(course_completed())
        await certificates.process.run()
        store.enrolled["enrollment-2"] = store.enrolled[ONE]
        certificates.typesetter.away = True
        log.add(course_completed("enrollment-2"), revoke())

        await certificates.process.batch()

        assert store.stored[ONE].status == "revoked"
        assert ("certificate.revoked.v1", {**CERTIFICATE, "revokedAt": NOW}) in published(log, CERTIFICATE_ISSUED)

    async def test_without_a_certificate_the_answer_is_404(self, certificates: Certifying, log: FakeLog) -> None:
        log.add(revoke())

        await certificates.process.run()

        assert replies(log) == [("command.rejected.v1", {"code": 404, "reason": "Certificate not found"})]

    async def test_behind_the_record_that_makes_its_certificate_it_ends_revoked_as_it_would_apart(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        log.add(generate(), revoke(timestamp=NOW + 5, reason="A mistake"))

        await certificates.process.run()

        assert (store.stored[ONE].status, store.stored[ONE].revoked_reason) == ("revoked", "A mistake")
        assert [kind for kind, _ in published(log, CERTIFICATE_ISSUED)] == [
            "certificate.issued.v1",
            "certificate.revoked.v1",
        ]
        assert [data["status"] for _, data in replies(log)] == ["issued", "revoked"]
        assert certificates.process.metric("lesson_progress_certificates_total", outcome="revoked") == 1

    async def test_what_stands_behind_it_in_the_batch_does_not_have_the_last_word(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        log.add(generate(), revoke(), generate())

        await certificates.process.run()

        assert store.stored[ONE].status == "revoked"
        assert published(log, CERTIFICATE_ISSUED)[-1][0] == "certificate.revoked.v1"
        assert [data["status"] for _, data in replies(log)] == ["issued", "revoked", "revoked"]

    async def test_before_it_nothing_is_there_to_revoke(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        log.add(revoke(), generate(), revoke(timestamp=NOW + 5))

        await certificates.process.run()

        assert store.stored[ONE].revoked_at == NOW + 5
        assert [data.get("status") or data["code"] for _, data in replies(log)] == [404, "issued", "revoked"]

    async def test_a_certificate_made_behind_a_revocation_that_found_nothing_stays(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        log.add(revoke(), generate())

        await certificates.process.run()

        assert store.stored[ONE].status == "issued"
        assert [data.get("status") or data["code"] for _, data in replies(log)] == [404, "issued"]

    async def test_one_that_was_overtaken_is_repeated(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        store.users.clear()
        log.add(course_completed())
        await certificates.process.run()

        def mend(call: str) -> None:
            if call == "advance" and store.stored[ONE].status == "failed":
                store.stored[ONE] = replace(store.stored[ONE], status="rendered")

        store.meanwhile = mend
        log.add(revoke())

        await certificates.process.run()

        assert store.stored[ONE].status == "revoked"
        assert len(replies(log)) == 1


class TestOperators:
    @pytest.mark.parametrize("command", [generate, revoke])
    async def test_only_they_may_command(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore, command: type
    ) -> None:
        record = command()
        learner = [(name, token() if name == "authorization" else value) for name, value in record.headers]
        log.add(replace(record, headers=tuple(learner)))

        await certificates.process.run()

        assert replies(log) == [("command.rejected.v1", {"code": 403, "reason": "Operator role required"})]
        assert store.stored == {}


class TestMetrics:
    def propagated(self, certificates: Certifying) -> float:
        return certificates.process.metric("lesson_progress_propagation_seconds_count", stage="certificate")

    async def test_the_way_from_the_command_is_measured_once_and_only_where_a_command_led_here(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore, clock: FakeClock
    ) -> None:
        store.enrolled["enrollment-2"] = store.enrolled[ONE]
        clock.move(250)
        log.add(course_completed(), course_completed(), course_completed("enrollment-2", caused=False))
        await certificates.process.run()
        log.add(course_completed())

        await certificates.process.run()

        assert self.propagated(certificates) == 1
        assert certificates.process.metric("lesson_progress_propagation_seconds_sum", stage="certificate") == 0.25

    async def test_certificates_are_counted_by_what_was_done(
        self, certificates: Certifying, log: FakeLog, store: FakeCertificateStore
    ) -> None:
        store.users.clear()
        log.add(course_completed())
        await certificates.process.run()
        log.add(course_completed())
        await certificates.process.run()
        await store.user("learner-1", "Ada Lovelace")
        log.add(generate())
        await certificates.process.run()
        log.add(revoke())
        await certificates.process.run()

        counted = {
            outcome: certificates.process.metric("lesson_progress_certificates_total", outcome=outcome)
            for outcome in ("failed", "retried", "issued", "revoked")
        }
        assert counted == {"failed": 1, "retried": 1, "issued": 1, "revoked": 1}


async def test_an_unreadable_event_is_a_dead_letter(certificates: Certifying, log: FakeLog) -> None:
    log.append(COURSE_COMPLETED, b"{", key=b"x", headers=envelope("course.completed.v1"))

    await certificates.process.run()

    assert [header(letter, "x-dead-letter-error") for letter in log.read(DEAD_LETTERS)] == ["InvalidPayload"]
