"""Learners hear by e-mail at least once, each mail under one id; what cannot be sent holds nothing up."""

import pytest

from services.certificates.domain import Notification
from services.certificates.handlers import EMAIL_LEASE_MS, send_due_emails
from shared.errors import Permanent, Transient
from tests.support.fakes_certificates import FakeCertificateStore, FakeMailServer, academy
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock


@pytest.fixture
async def store() -> FakeCertificateStore:
    """Given: two e-mails that are due."""
    store = academy()
    ready = [
        Notification(f"n-{number}", "learner-1", "certificate_ready", "Ready", "It is ready", "https://x/", NOW)
        for number in range(2)
    ]
    await store.tell(ready, email_due=NOW)
    return store


async def test_every_email_that_is_due_is_sent_and_noted(store: FakeCertificateStore) -> None:
    server = FakeMailServer()

    await send_due_emails(store, server, FakeClock())
    await send_due_emails(store, server, FakeClock())

    assert server.accepted == [("n-0", "ada@example.org"), ("n-1", "ada@example.org")]
    assert store.mailed == {"n-0": NOW, "n-1": NOW}


async def test_an_email_that_is_refused_for_good_or_has_no_address_is_given_up(store: FakeCertificateStore) -> None:
    await store.user("learner-2", "Grace Hopper")
    nobody = Notification("n-2", "learner-2", "certificate_ready", "Ready", "It is ready", "https://x/", NOW)
    await store.tell([nobody], email_due=NOW)
    server = FakeMailServer(failures=[Permanent("no such mailbox")])

    await send_due_emails(store, server, FakeClock())

    assert server.accepted == [("n-1", "ada@example.org")]
    assert store.mailed == {"n-0": None, "n-1": NOW, "n-2": None}


async def test_what_a_server_did_not_take_comes_again_when_its_lease_is_over(store: FakeCertificateStore) -> None:
    server, clock = FakeMailServer(failures=[Transient("busy")]), FakeClock()
    with pytest.raises(Transient):
        await send_due_emails(store, server, clock)

    await send_due_emails(store, server, clock)
    clock.move(EMAIL_LEASE_MS)
    await send_due_emails(store, server, clock)

    assert [notification for notification, _ in server.accepted] == ["n-1", "n-0"]


async def test_after_a_crash_between_the_server_s_yes_and_our_note_it_is_sent_again(
    store: FakeCertificateStore,
) -> None:
    server, clock = FakeMailServer(), FakeClock()

    def crash(call: str) -> None:
        if call == "emailed":
            raise Transient("the process is gone")

    store.meanwhile = crash
    with pytest.raises(Transient):
        await send_due_emails(store, server, clock)
    store.meanwhile = lambda _call: None
    clock.move(EMAIL_LEASE_MS)
    await send_due_emails(store, server, clock)

    assert sorted(server.accepted) == [
        ("n-0", "ada@example.org"),
        ("n-0", "ada@example.org"),
        ("n-1", "ada@example.org"),
    ]
