"""A completed course has one certificate and one notification of each kind, whatever happens on the way."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from services.certificates.domain import MOST_WORKERS_ENDED, Certificate, Links
from services.certificates.handlers import CertificateIssuer, Made
from shared.errors import Transient
from tests.support.fakes_certificates import FakeCertificateStore, FakeTypesetter, academy, numbered_ids
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock

LINKS = Links("https://learn.example.org")
ONE = "enrollment-1"
HIEROGLYPH = "\U00013080"


def issuer(
    store: FakeCertificateStore,
    typesetter: FakeTypesetter | None = None,
    *,
    rendering: bool = True,
    clock: FakeClock | None = None,
    emails: bool = False,
    ids: Callable[[], str] | None = None,
) -> CertificateIssuer:
    typesetter = typesetter or FakeTypesetter()
    return CertificateIssuer(
        store, typesetter if rendering else None, LINKS, clock or FakeClock(), ids or numbered_ids(), emails=emails
    )


async def issued(store: FakeCertificateStore, *enrollment_ids: str) -> Certificate:
    """Given: certificates that were issued before."""
    made = await issuer(store).issue(enrollment_ids or [ONE])
    store.calls.clear()
    return next(iter(made.values())).certificate


class WithoutRecovery(FakeTypesetter):
    """Once a worker has died no other one works."""

    async def recover(self) -> None:
        raise Transient("no worker works")


def kinds(made: Made) -> list[str]:
    return [notification.kind for notification in made.notifications]


async def test_a_completed_course_makes_a_certificate_its_pdf_and_two_notifications() -> None:
    store = academy()

    made = (await issuer(store).issue([ONE]))[ONE]

    assert (made.certificate.status, made.certificate.issued_at) == ("issued", NOW)
    assert kinds(made) == ["course_completed", "certificate_ready"]
    assert (made.issued, made.failed, made.retried, made.waits) == (True, False, False, None)
    assert made.certificate == store.stored[ONE]
    assert (
        store.files[made.certificate.file_id or ""] == f"Ada Lovelace|Analytical Engines|Charles Babbage|{NOW}".encode()
    )
    assert list(store.notifications.values()) == made.notifications


@pytest.mark.parametrize("completed_at", [None])
async def test_an_enrollment_that_is_unknown_or_not_completed_has_no_answer_and_leaves_nothing(
    completed_at: int | None,
) -> None:
    store = academy(completed_at=completed_at)

    assert await issuer(store).issue([ONE, "unknown"]) == {}
    assert not store.stored
    assert not store.notifications


async def test_a_batch_takes_as_many_round_trips_as_one_enrollment() -> None:
    many = [f"enrollment-{number}" for number in range(100)]
    small, large = academy(), academy(*many)

    await issuer(small).issue([ONE])
    await issuer(large).issue(many)

    assert small.calls == large.calls
    assert len(large.stored) == 100


async def test_a_repeat_answers_the_same_documents_and_makes_nothing() -> None:
    store = academy()
    first = (await issuer(store).issue([ONE]))[ONE]
    typesetter = FakeTypesetter()

    again = (await issuer(store, typesetter, clock=FakeClock(NOW + 1000)).issue([ONE]))[ONE]

    assert (again.certificate, again.notifications) == (first.certificate, first.notifications)
    assert (again.issued, again.failed, again.retried) == (False, False, False)
    assert typesetter.calls == [0]


async def test_a_notification_keeps_the_words_it_was_first_told_with() -> None:
    store = academy()
    first = (await issuer(store).issue([ONE]))[ONE]
    await store.course("course-1", "Difference Engines")

    again = (await issuer(store).issue([ONE]))[ONE]

    assert again.notifications == first.notifications


# What cannot be made


@pytest.mark.parametrize(("lacking", "code"), [("users", "user_missing"), ("courses", "course_missing")])
async def test_a_certificate_without_its_user_or_course_is_failed_and_the_learner_is_congratulated(
    lacking: str, code: str
) -> None:
    store = academy()
    getattr(store, lacking).clear()

    made = (await issuer(store).issue([ONE]))[ONE]

    assert (made.certificate.status, made.certificate.failure, made.failed) == ("failed", code, True)
    assert kinds(made) == ["course_completed"]


async def test_a_name_that_no_font_has_fails_its_own_certificate_alone() -> None:
    store = academy(ONE, "enrollment-2")
    await store.user("learner-2", HIEROGLYPH)
    store.enrolled["enrollment-2"] = ("learner-2", "course-1", NOW)

    made = await issuer(store).issue([ONE, "enrollment-2"])

    assert made[ONE].issued
    assert (made["enrollment-2"].certificate.status, made["enrollment-2"].certificate.failure) == (
        "failed",
        "glyph_missing",
    )


async def test_a_failed_certificate_waits_for_an_operator_whatever_is_repeated() -> None:
    store = academy()
    store.users.clear()
    await issuer(store).issue([ONE])
    await store.user("learner-1", "Ada Lovelace")

    repeated = (await issuer(store).issue([ONE]))[ONE]

    assert (repeated.certificate.status, repeated.failed) == ("failed", False)


# Made again


async def test_an_operator_has_a_failed_certificate_made_and_the_learner_hears_of_it_first_then() -> None:
    store = academy()
    store.users.clear()
    failed = (await issuer(store).issue([ONE]))[ONE].certificate
    await store.user("learner-1", "Ada Lovelace")

    made = (await issuer(store, clock=FakeClock(NOW + 5)).issue([ONE], again={ONE}))[ONE]

    assert (made.certificate.certificate_id, made.certificate.status) == (failed.certificate_id, "issued")
    assert (made.certificate.failure, made.certificate.issued_at, made.certificate.attempts) == (None, NOW + 5, 2)
    assert kinds(made) == ["course_completed", "certificate_ready"]
    assert (made.issued, made.retried) == (True, True)


async def test_making_again_takes_name_and_title_afresh_and_keeps_id_moment_and_notifications() -> None:
    store = academy()
    before = await issued(store)
    notifications = dict(store.notifications)
    await store.user("learner-1", "Ada King")
    await store.course("course-1", "Difference Engines")

    made = (await issuer(store, clock=FakeClock(NOW + 5)).issue([ONE], again={ONE}))[ONE]

    after = made.certificate
    assert (after.certificate_id, after.issued_at, after.status) == (before.certificate_id, NOW, "issued")
    assert (after.recipient_name, after.course_title, after.instructor_name) == ("Ada King", "Difference Engines", None)
    assert store.files == {after.file_id: f"Ada King|Difference Engines|None|{NOW}".encode()}
    assert store.notifications == notifications
    assert not made.issued


async def test_a_file_that_was_replaced_before_a_crash_is_removed_by_the_repeat() -> None:
    store = academy()
    await issued(store)
    await store.user("learner-1", "Ada King")

    def crash(call: str) -> None:
        if call == "discard":
            raise Transient("the process is gone")

    store.meanwhile = crash
    with pytest.raises(Transient):
        await issuer(store).issue([ONE], again={ONE})
    store.meanwhile = lambda _call: None
    made = (await issuer(store).issue([ONE], again={ONE}))[ONE]

    assert set(store.files) == {made.certificate.file_id}


async def test_making_again_without_a_change_changes_nothing() -> None:
    store = academy()
    before = await issued(store)
    files = dict(store.files)

    made = (await issuer(store).issue([ONE], again={ONE}))[ONE]

    assert made.certificate == store.stored[ONE] == replace(before, attempts=2)
    assert store.files == files
    assert "discard" not in store.calls


async def test_an_issued_certificate_whose_new_name_no_font_has_stays_as_it_was() -> None:
    store = academy()
    before = await issued(store)
    files = dict(store.files)
    await store.user("learner-1", HIEROGLYPH)

    made = (await issuer(store).issue([ONE], again={ONE}))[ONE]

    assert store.stored[ONE] == replace(before, failure="glyph_missing", attempts=2)
    assert (store.files, made.failed) == (files, True)


async def test_an_operator_gets_a_certificate_made_that_never_was() -> None:
    store = academy()

    made = (await issuer(store).issue([ONE], again={ONE}))[ONE]

    assert (made.certificate.status, made.issued, made.retried) == ("issued", True, False)
    assert kinds(made) == ["course_completed", "certificate_ready"]


async def test_a_revoked_certificate_stays_revoked_whatever_is_repeated() -> None:
    store = academy()
    before = await issued(store)
    store.stored[ONE] = replace(before, status="revoked", revoked_at=NOW)

    made = (await issuer(store).issue([ONE], again={ONE}))[ONE]

    assert made.certificate == store.stored[ONE] == replace(before, status="revoked", revoked_at=NOW)
    assert kinds(made) == ["course_completed", "certificate_ready"]


async def test_of_a_certificate_that_was_revoked_before_it_was_issued_nobody_is_told() -> None:
    store = academy()
    before = await issued(store)
    store.stored[ONE] = replace(before, status="revoked", revoked_at=NOW, issued_at=None)
    store.notifications.clear()

    made = (await issuer(store).issue([ONE]))[ONE]

    assert kinds(made) == ["course_completed"]


# Trouble on the way


async def test_when_the_workers_are_away_every_certificate_waits_and_is_congratulated_already() -> None:
    store = academy()

    made = (await issuer(store, FakeTypesetter(away=True)).issue([ONE]))[ONE]

    assert isinstance(made.waits, Transient)
    assert (made.certificate.status, made.certificate.attempts) == ("pending", 1)
    assert kinds(made) == ["course_completed"]


async def test_a_certificate_that_waited_is_counted_as_tried_again_and_issued() -> None:
    store = academy()
    await issuer(store, FakeTypesetter(away=True)).issue([ONE])

    made = (await issuer(store).issue([ONE]))[ONE]

    assert (made.issued, made.retried, made.waits) == (True, True, None)
    assert store.stored[ONE].attempts == 2


async def test_a_page_that_ends_its_worker_keeps_only_itself_waiting() -> None:
    store = academy(*(f"enrollment-{number}" for number in range(5)))
    await store.user("learner-2", "deadly")
    store.enrolled["enrollment-3"] = ("learner-2", "course-1", NOW)

    made = await issuer(store).issue(list(store.enrolled))

    assert [key for key, one in made.items() if one.waits is not None] == ["enrollment-3"]
    assert sum(one.issued for one in made.values()) == 4


async def test_when_the_workers_go_away_behind_a_page_the_page_is_kept_and_the_others_wait() -> None:
    store = academy(*(f"enrollment-{number}" for number in range(3)))
    await store.user("learner-2", "deadly")
    store.enrolled["enrollment-1"] = ("learner-2", "course-1", NOW)

    made = await issuer(store, WithoutRecovery()).issue(list(store.enrolled))

    assert [key for key, one in made.items() if one.waits is not None] == ["enrollment-1", "enrollment-2"]
    assert {one.workers_ended for one in store.stored.values()} == {0}


async def test_a_page_that_always_ends_its_worker_fails_in_the_end() -> None:
    store = academy()
    await store.user("learner-1", "deadly")

    made = [(await issuer(store).issue([ONE]))[ONE] for _ in range(MOST_WORKERS_ENDED)]

    assert all(one.waits is not None for one in made[:-1])
    assert (made[-1].certificate.status, made[-1].certificate.failure) == ("failed", "render_failed")
    assert made[-1].waits is None


async def test_however_long_no_worker_works_no_page_is_blamed_for_it() -> None:
    store = academy()

    made = [(await issuer(store, FakeTypesetter(away=True)).issue([ONE]))[ONE] for _ in range(2 * MOST_WORKERS_ENDED)]

    assert all(one.waits is not None for one in made)
    assert store.stored[ONE].status == "pending"


async def test_storage_trouble_uses_up_none_of_the_deaths_that_blame_a_page() -> None:
    store = academy()

    def time_out(call: str) -> None:
        if call == "keep":
            raise Transient("the database is away")

    store.meanwhile = time_out
    for _ in range(MOST_WORKERS_ENDED):
        with pytest.raises(Transient):
            await issuer(store).issue([ONE])
    store.meanwhile = lambda _call: None
    killed = (await issuer(store, FakeTypesetter(deadly="Ada")).issue([ONE]))[ONE]

    assert isinstance(killed.waits, Transient)
    assert (killed.certificate.status, killed.certificate.attempts) == ("pending", MOST_WORKERS_ENDED + 1)
    assert (await issuer(store).issue([ONE]))[ONE].certificate.status == "issued"


async def test_whoever_asks_again_for_a_page_that_was_to_blame_gives_it_all_its_chances() -> None:
    store = academy()
    deadly = FakeTypesetter(deadly="Ada")
    for _ in range(MOST_WORKERS_ENDED):
        await issuer(store, deadly).issue([ONE])

    made = [(await issuer(store, deadly).issue([ONE], again={ONE}))[ONE] for _ in range(MOST_WORKERS_ENDED)]

    assert [one.waits is None for one in made] == [False] * (MOST_WORKERS_ENDED - 1) + [True]


async def test_a_page_that_is_made_forgets_the_workers_it_ended() -> None:
    store = academy()
    await issuer(store, FakeTypesetter(deadly="Ada")).issue([ONE])
    assert store.stored[ONE].workers_ended == 1

    await issuer(store).issue([ONE])

    assert store.stored[ONE].workers_ended == 0


async def test_an_issued_certificate_that_ends_workers_when_it_is_made_again_stays_as_it_was() -> None:
    store = academy()
    before = await issued(store)
    await store.user("learner-1", "deadly")

    made = [(await issuer(store).issue([ONE], again={ONE}))[ONE] for _ in range(MOST_WORKERS_ENDED)]

    assert [one.waits is None for one in made] == [False] * (MOST_WORKERS_ENDED - 1) + [True]
    assert store.stored[ONE] == replace(before, failure="render_failed", attempts=1 + MOST_WORKERS_ENDED)


async def test_a_database_that_is_away_makes_the_whole_batch_wait() -> None:
    store = academy()
    store.away = True

    with pytest.raises(Transient):
        await issuer(store).issue([ONE])


# Another replica at the same certificate


async def test_a_certificate_issued_meanwhile_keeps_the_other_s_moment() -> None:
    store = academy()
    other = FakeClock(NOW - 500)

    def issue_it(call: str) -> None:
        if call == "advance" and store.stored[ONE].status == "rendered":
            store.stored[ONE] = store.stored[ONE].issued(other())

    store.meanwhile = issue_it
    made = (await issuer(store).issue([ONE]))[ONE]

    assert (made.certificate.issued_at, made.issued) == (NOW - 500, False)
    assert made.notifications[1].created_at == NOW - 500


async def test_a_certificate_revoked_while_it_was_typeset_is_not_issued() -> None:
    store = academy()

    def revoke_it(call: str) -> None:
        if call == "keep":
            store.stored[ONE] = replace(store.stored[ONE], status="revoked", revoked_at=NOW)

    store.meanwhile = revoke_it
    made = (await issuer(store).issue([ONE]))[ONE]

    assert (made.certificate.status, made.certificate.issued_at, made.waits) == ("revoked", None, None)
    assert kinds(made) == ["course_completed"]


async def test_who_was_overtaken_in_making_again_looks_again() -> None:
    store = academy()
    await issued(store)
    await store.user("learner-1", "Ada King")

    def make_it(call: str) -> None:
        if call == "keep":
            store.stored[ONE] = replace(store.stored[ONE], recipient_name="Ada Byron", file_id="theirs")

    store.meanwhile = make_it
    made = (await issuer(store).issue([ONE], again={ONE}))[ONE]

    assert isinstance(made.waits, Transient)
    assert store.stored[ONE].recipient_name == "Ada Byron"


async def test_a_certificate_revoked_while_it_was_made_again_stays_revoked_and_nothing_waits() -> None:
    store = academy()
    before = await issued(store)
    await store.user("learner-1", "Ada King")

    def revoke_it(call: str) -> None:
        if call == "keep":
            store.stored[ONE] = replace(before, status="revoked", revoked_at=NOW)

    store.meanwhile = revoke_it
    made = (await issuer(store).issue([ONE], again={ONE}))[ONE]

    assert made.waits is None
    assert store.stored[ONE] == replace(before, status="revoked", revoked_at=NOW)
    assert before.file_id in store.files


async def test_a_file_that_another_replica_pointed_at_while_it_was_removed_is_made_again() -> None:
    store = academy()
    before = await issued(store)
    await store.user("learner-1", "Ada King")

    def point_back(call: str) -> None:
        if call == "discard":
            store.stored[ONE] = before

    store.meanwhile = point_back
    made = (await issuer(store).issue([ONE], again={ONE}))[ONE]
    store.meanwhile = lambda _call: None
    mended = (await issuer(store).issue([ONE], again={ONE}))[ONE]

    assert isinstance(made.waits, Transient)
    assert mended.waits is None
    assert mended.certificate.file_id in store.files


# Without PDFs


async def test_without_rendering_a_certificate_is_issued_at_once_and_has_no_file() -> None:
    store = academy()

    made = (await issuer(store, rendering=False).issue([ONE]))[ONE]

    assert (made.certificate.status, made.certificate.file_id, made.issued) == ("issued", None, True)
    assert store.files == {}
    assert store.calls.count("advance") == 2


async def test_a_certificate_issued_without_a_pdf_gets_one_when_it_is_made_again() -> None:
    store = academy()
    await issuer(store, rendering=False).issue([ONE])

    made = (await issuer(store).issue([ONE], again={ONE}))[ONE]

    assert made.certificate.file_id in store.files


# E-mail


@pytest.mark.parametrize(("emails", "due"), [(False, []), (True, ["certificate_ready"])])
async def test_one_email_falls_due_with_the_certificate_where_emails_are_wanted(
    *, emails: bool, due: list[str]
) -> None:
    store = academy()

    await issuer(store, emails=emails).issue([ONE])

    assert [store.notifications[key].kind for key in store.due] == due
