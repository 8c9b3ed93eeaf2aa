"""Certificates that a restored database lacks come back with the ids and the dates that learners have."""

from dataclasses import replace

from shared.contracts.topics import CERTIFICATE_ISSUED, NOTIFICATION_CREATED
from tests.support.certifying import Certifying, course_completed, published, replies, restore, revoke, sameness
from tests.support.fake_log import FakeLog
from tests.support.fakes_certificates import FakeCertificateStore
from tests.support.issuer import NOW

ONE = "enrollment-1"
LOST = "certificate-lost"


async def test_a_lost_certificate_is_made_again_with_its_id_and_date(
    certificates: Certifying, log: FakeLog, store: FakeCertificateStore
) -> None:
    log.add(restore())

    await certificates.process.run()

    certificate = store.stored[ONE]
    assert (certificate.certificate_id, certificate.status, certificate.issued_at) == (LOST, "issued", NOW - 1000)
    assert store.files[certificate.file_id or ""].startswith(b"Ada Lovelace|")
    [(_, issued)] = published(log, CERTIFICATE_ISSUED)
    assert (issued["certificateId"], issued["issuedAt"]) == (LOST, NOW - 1000)
    assert replies(log) == [("certificate.requested.v1", {"certificateId": LOST, "status": "issued"})]


async def test_its_learner_need_not_have_completed_again_yet(
    certificates: Certifying, log: FakeLog, store: FakeCertificateStore
) -> None:
    completed = store.enrolled.pop(ONE)
    log.add(restore())
    await certificates.process.run()
    assert (store.stored[ONE].status, published(log, CERTIFICATE_ISSUED)) == ("pending", [])

    store.enrolled[ONE] = completed
    log.add(course_completed())
    await certificates.process.run()

    certificate = store.stored[ONE]
    assert (certificate.certificate_id, certificate.status, certificate.issued_at) == (LOST, "issued", NOW - 1000)


async def test_one_that_was_withdrawn_comes_back_withdrawn(
    certificates: Certifying, log: FakeLog, store: FakeCertificateStore
) -> None:
    log.add(restore(revoked_at=NOW - 5), course_completed())

    await certificates.process.run()

    assert (store.stored[ONE].status, store.stored[ONE].revoked_at) == ("revoked", NOW - 5)
    assert {kind for kind, _ in published(log, CERTIFICATE_ISSUED)} <= {
        "certificate.issued.v1",
        "certificate.revoked.v1",
    }
    assert published(log, CERTIFICATE_ISSUED)[-1][0] == "certificate.revoked.v1"
    assert replies(log) == [("certificate.requested.v1", {"certificateId": LOST, "status": "revoked"})]


async def test_one_that_is_stored_and_was_withdrawn_since_is_withdrawn(
    certificates: Certifying, log: FakeLog, store: FakeCertificateStore
) -> None:
    log.add(restore())
    await certificates.process.run()

    log.add(restore(revoked_at=NOW - 5))
    await certificates.process.run()

    assert (store.stored[ONE].status, store.stored[ONE].revoked_at) == ("revoked", NOW - 5)
    assert replies(log)[1:] == [("certificate.requested.v1", {"certificateId": LOST, "status": "revoked"})]


async def test_one_that_another_replica_changes_while_it_is_withdrawn_waits_and_is_withdrawn(
    certificates: Certifying, log: FakeLog, store: FakeCertificateStore
) -> None:
    log.add(restore())
    await certificates.process.run()
    issued = store.stored[ONE]
    store.stored[ONE] = replace(issued, status="rendered")

    def issue_it(call: str) -> None:
        if call == "advance" and store.stored[ONE].status == "rendered":
            store.stored[ONE] = issued

    store.meanwhile = issue_it
    log.add(restore(revoked_at=NOW - 5))
    await certificates.process.run()

    assert (store.stored[ONE].status, store.stored[ONE].revoked_at) == ("revoked", NOW - 5)
    assert replies(log)[1:] == [("certificate.requested.v1", {"certificateId": LOST, "status": "revoked"})]


async def test_an_enrollment_with_another_certificate_keeps_it_and_the_operator_hears_so(
    certificates: Certifying, log: FakeLog, store: FakeCertificateStore
) -> None:
    log.add(course_completed())
    await certificates.process.run()
    before = store.stored[ONE]

    log.add(restore())
    await certificates.process.run()

    assert store.stored[ONE] == before
    assert replies(log) == [("command.rejected.v1", {"code": 409, "reason": "Another certificate exists"})]


async def test_an_id_that_another_enrollment_s_certificate_has_is_refused_and_holds_nothing_up(
    certificates: Certifying, log: FakeLog, store: FakeCertificateStore
) -> None:
    log.add(restore())
    await certificates.process.run()

    log.add(restore("enrollment-2"))
    await certificates.process.run()

    assert store.stored.keys() == {ONE}
    assert replies(log)[1:] == [("command.rejected.v1", {"code": 409, "reason": "Another certificate exists"})]


async def test_of_two_enrollments_that_are_to_have_one_id_at_once_one_has_it(
    certificates: Certifying, log: FakeLog, store: FakeCertificateStore
) -> None:
    log.add(restore(), restore("enrollment-2"))

    await certificates.process.run()

    assert [certificate.certificate_id for certificate in store.stored.values()] == [LOST]
    assert sorted(kind or "" for kind, _ in replies(log)) == ["certificate.requested.v1", "command.rejected.v1"]


async def test_of_two_certificates_that_one_enrollment_is_to_have_the_first_one_stays(
    certificates: Certifying, log: FakeLog, store: FakeCertificateStore
) -> None:
    log.add(restore(), restore(certificate_id="certificate-later", revoked_at=NOW - 5))

    await certificates.process.run()

    assert (store.stored[ONE].certificate_id, store.stored[ONE].status) == (LOST, "issued")
    assert replies(log) == [
        ("certificate.requested.v1", {"certificateId": LOST, "status": "issued"}),
        ("command.rejected.v1", {"code": 409, "reason": "Another certificate exists"}),
    ]


async def test_of_two_restores_of_one_certificate_at_once_the_withdrawal_is_not_forgotten(
    certificates: Certifying, log: FakeLog, store: FakeCertificateStore
) -> None:
    log.add(restore(), restore(revoked_at=NOW - 5), restore())

    await certificates.process.run()

    assert (store.stored[ONE].status, store.stored[ONE].revoked_at) == ("revoked", NOW - 5)


async def test_a_restore_twice_and_beside_its_completion_and_a_revocation_has_one_effect(
    certificates: Certifying, log: FakeLog, store: FakeCertificateStore
) -> None:
    log.add(course_completed(), restore(), restore(partition=1), revoke(timestamp=NOW + 1))

    await certificates.process.run()

    assert (store.stored[ONE].certificate_id, store.stored[ONE].status) == (LOST, "revoked")
    assert len(published(log, NOTIFICATION_CREATED)) <= 2 * 3
    assert all(len(copies) == 1 for copies in sameness(log).values())
