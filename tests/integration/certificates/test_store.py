"""What every store of certificates does, the one in memory and the real one alike."""

import asyncio
from dataclasses import replace

import pytest

from services.certificates.domain import Certificate, Notification, PdfFile, Revocation
from services.certificates.ports import Change, Uncertified
from shared.errors import Transient
from tests.integration.certificates.conftest import World
from tests.support.issuer import NOW

PENDING = Certificate("c-1", "enrollment-1", "learner-1", "course-1", "Ada Lovelace", "Engines", "Charles Babbage")
TOLD = Notification("n-1", "learner-1", "certificate_ready", "Ready", "It is ready", "https://example.org/", NOW)


def numbered(count: int) -> list[Certificate]:
    return [replace(PENDING, certificate_id=f"c-{n}", enrollment_id=f"enrollment-{n}") for n in range(count)]


async def test_only_enrollments_that_exist_and_were_completed_are_found(world: World) -> None:
    await world.platform.enroll("enrollment-1", "learner-1", "course-1", completed_at=NOW)
    await world.platform.enroll("enrollment-2", "learner-1", "course-2", completed_at=None)

    found = await world.store.completed(["enrollment-1", "enrollment-2", "unknown"])

    assert {key: (e.user_id, e.course_id, e.completed_at) for key, e in found.items()} == {
        "enrollment-1": ("learner-1", "course-1", NOW)
    }


async def test_names_and_titles_are_found_and_what_is_missing_or_blank_is_none(world: World) -> None:
    await world.platform.user("learner-1", "Ada Lovelace")
    await world.platform.user("learner-2", "  ")
    await world.platform.course("course-1", "Engines", instructor="Charles Babbage")
    for number, (user, course) in enumerate([("learner-1", "course-1"), ("learner-2", "course-1"), ("nobody", "none")]):
        await world.platform.enroll(f"enrollment-{number}", user, course, completed_at=NOW)
    enrollments = await world.store.completed([f"enrollment-{number}" for number in range(3)])

    named = await world.store.particulars(enrollments.values())

    assert {key: (p.recipient_name, p.course_title, p.instructor_name, p.missing) for key, p in named.items()} == {
        "enrollment-0": ("Ada Lovelace", "Engines", "Charles Babbage", None),
        "enrollment-1": (None, "Engines", "Charles Babbage", "user_missing"),
        "enrollment-2": (None, None, None, "user_missing"),
    }


async def test_an_enrollment_has_the_certificate_that_claimed_it_first(world: World) -> None:
    await world.store.claim([PENDING])
    second = replace(PENDING, enrollment_id="enrollment-2", certificate_id="c-2")

    claims = await world.store.claim([replace(PENDING, certificate_id="c-9"), second])

    assert {key: (claim.certificate, claim.new) for key, claim in claims.items()} == {
        "enrollment-1": (PENDING, False),
        "enrollment-2": (second, True),
    }


async def test_an_id_that_another_enrollment_s_certificate_has_is_claimed_by_nobody_else(world: World) -> None:
    await world.store.claim([PENDING])

    with pytest.raises(Transient):
        await world.store.claim([replace(PENDING, enrollment_id="enrollment-2")])

    assert await world.store.certificates(["enrollment-2"]) == {}
    assert await world.store.certificates_by_id(["c-1", "c-2"]) == {"c-1": PENDING}


async def test_a_certificate_comes_back_as_it_was_stored(world: World) -> None:
    whole = replace(
        PENDING,
        status="revoked",
        failure="glyph_missing",
        issued_at=NOW,
        file_id="file-1",
        replaced_file_id="file-0",
        revoked_at=NOW + 1,
        revoked_reason="A mistake",
    )
    bare = replace(PENDING, enrollment_id="enrollment-2", certificate_id="c-2", instructor_name=None)

    await world.store.claim([whole, bare])

    assert await world.store.certificates(["enrollment-1", "enrollment-2", "unknown"]) == {
        "enrollment-1": whole,
        "enrollment-2": bare,
    }
    assert await world.store.certificate("c-1") == whole
    assert await world.store.certificate("unknown") is None


async def test_those_completed_since_then_wait_for_a_certificate_until_it_is_issued_or_revoked_or_fails(
    world: World,
) -> None:
    enrollments = {"issued": NOW, "revoked": NOW, "failed": NOW + 1, "pending": NOW + 2, "none": NOW + 3}
    for enrollment_id, at in {**enrollments, "long ago": NOW - 1, "not completed": None}.items():
        await world.platform.enroll(enrollment_id, enrollment_id, "course-1", completed_at=at)
    of = {key: replace(PENDING, certificate_id=f"c-{key}", enrollment_id=key) for key in enrollments if key != "none"}
    of["issued"] = of["issued"].issued(NOW)
    of["revoked"] = of["revoked"].revoked(Revocation(NOW, None))
    of["failed"] = of["failed"].failed("glyph_missing")
    await world.store.claim(list(of.values()))

    found = await world.store.uncertified(NOW)
    assert (sorted(found.waiting), found.failed) == ([NOW + 2, NOW + 3], 1)
    assert await world.store.uncertified(NOW + 2) == Uncertified(found.waiting, 0)
    assert await world.store.uncertified(NOW + 4) == Uncertified([], 0)


async def test_attempts_are_counted(world: World) -> None:
    await world.store.claim(numbered(3))

    await world.store.begin_again(["c-0", "c-2"])
    await world.store.begin_again([])

    stored = await world.store.certificates([c.enrollment_id for c in numbered(3)])
    assert [stored[f"enrollment-{n}"].attempts for n in range(3)] == [2, 1, 2]


async def test_changes_alike_and_changes_of_one_each_are_made_and_answered(world: World) -> None:
    certificates = numbered(4)
    await world.store.claim(certificates)

    rendered = await world.store.advance([Change(c, c.rendered(f"file-{c.certificate_id}")) for c in certificates])
    issued = await world.store.advance([Change(c, c.issued(NOW)) for c in rendered.values()])

    assert issued == {c.enrollment_id: c.rendered(f"file-{c.certificate_id}").issued(NOW) for c in certificates}
    assert await world.store.certificates(issued) == issued


async def test_a_change_takes_a_failure_away_that_was_there(world: World) -> None:
    failed = PENDING.failed("user_missing")
    await world.store.claim([failed])

    await world.store.advance([Change(failed, failed.rendered("file-1"))])

    stored = await world.store.certificate("c-1")
    assert stored == PENDING.rendered("file-1")


async def test_the_workers_that_a_page_ended_are_counted_and_forgotten(world: World) -> None:
    await world.store.claim([PENDING])

    await world.store.advance([Change(PENDING, ended := PENDING.ended_worker())])
    await world.store.advance([Change(ended, twice := ended.ended_worker())])
    assert await world.store.certificate("c-1") == replace(PENDING, workers_ended=2)

    await world.store.advance([Change(twice, twice.rendered("file-1"))])
    assert await world.store.certificate("c-1") == PENDING.rendered("file-1")


async def test_a_change_of_a_certificate_that_moved_on_is_not_made_and_the_stored_one_is_answered(world: World) -> None:
    first, second = numbered(2)
    await world.store.claim([first, second])
    revoked = first.revoked(Revocation(NOW, "A mistake"))
    await world.store.advance([Change(first, revoked)])

    answer = await world.store.advance([Change(c, c.rendered("file-1")) for c in (first, second)])

    assert answer == {"enrollment-0": revoked, "enrollment-1": second.rendered("file-1")}
    assert await world.store.certificates(answer) == answer


async def test_a_file_is_replaced_only_where_the_former_one_is_still_there(world: World) -> None:
    issued = PENDING.rendered("file-1").issued(NOW)
    await world.store.claim([issued])
    await world.store.advance([Change(issued, replace(issued, file_id="file-2"))])

    answer = await world.store.advance([Change(issued, replace(issued, file_id="file-3", recipient_name="Ada King"))])

    assert answer == {"enrollment-1": replace(issued, file_id="file-2")}


async def test_no_changes_are_no_answer(world: World) -> None:
    assert await world.store.advance([]) == {}


async def test_files_are_kept_read_and_discarded(world: World) -> None:
    large = bytes(range(256)) * 3000
    files = [PdfFile("file-1", "c-1", b"%PDF-1"), PdfFile("file-2", "c-2", large)]
    await world.store.keep(files)
    await world.store.keep(files)
    await world.store.keep([])

    kept = [await world.store.pdf(file_id) for file_id in ("file-1", "file-2", "unknown")]
    await world.store.discard(["file-1", "unknown"])

    assert kept == [b"%PDF-1", large, None]
    assert [await world.store.pdf(file_id) for file_id in ("file-1", "file-2")] == [None, large]


async def test_a_notification_is_told_once_with_its_first_words(world: World) -> None:
    other = replace(TOLD, notification_id="n-2", kind="course_completed")
    await world.store.tell([TOLD])

    told = await world.store.tell([replace(TOLD, body="Other words", created_at=NOW + 1), other])

    assert told == {"n-1": TOLD, "n-2": other}
    assert await world.store.told(["n-1", "n-2", "unknown"]) == told
    assert await world.store.tell([]) == {}


async def test_an_email_is_due_from_its_moment_on_and_one_replica_s_at_a_time(world: World) -> None:
    await world.platform.user("learner-1", "Ada Lovelace", email="ada@example.org")
    await world.store.tell([TOLD], email_due=NOW)

    early = await world.store.next_email(NOW - 1, NOW + 10)
    taken = await world.store.next_email(NOW, NOW + 10)
    refused = await world.store.next_email(NOW + 9, NOW + 20)
    again = await world.store.next_email(NOW + 10, NOW + 20)

    assert (early, taken, refused, again) == (None, (TOLD, "ada@example.org"), None, (TOLD, "ada@example.org"))


async def test_replicas_that_look_at_the_same_moment_share_what_is_due(world: World) -> None:
    due = {f"n-{number}" for number in range(6)}
    await world.store.tell([replace(TOLD, notification_id=key) for key in due], email_due=NOW)

    taken = await asyncio.gather(*(world.store.next_email(NOW, NOW + 10) for _ in range(9)))

    assert sorted(email[0].notification_id for email in taken if email is not None) == sorted(due)


async def test_an_email_that_was_accepted_or_given_up_is_due_no_more(world: World) -> None:
    await world.store.tell([TOLD, replace(TOLD, notification_id="n-2")], email_due=NOW)

    await world.store.emailed("n-1", NOW)
    await world.store.emailed("n-2", None)

    assert await world.store.next_email(NOW + 1000, NOW + 2000) is None


async def test_nobody_is_mailed_what_was_told_while_emails_were_off(world: World) -> None:
    await world.store.tell([TOLD])
    await world.store.tell([TOLD], email_due=NOW)

    assert await world.store.next_email(NOW, NOW + 10) is None


async def test_the_email_of_a_learner_without_an_address_has_none(world: World) -> None:
    await world.store.tell([TOLD], email_due=NOW)

    assert await world.store.next_email(NOW, NOW + 10) == (TOLD, None)


async def test_certificates_and_notifications_are_found_page_by_page_in_the_order_of_their_ids(world: World) -> None:
    certificates = numbered(5)
    told = [replace(TOLD, notification_id=f"n-{n}") for n in range(5)]
    await world.store.claim(certificates)
    await world.store.tell(told)

    first = await world.records.certificates_after(None, 3)
    rest = await world.records.certificates_after("c-2", 3)
    some = await world.records.told_after("n-1", 2)

    assert [*first, *rest] == certificates
    assert await world.records.certificates_after("c-4", 3) == []
    assert list(some) == told[2:4]
    assert await world.records.certificates_by_id(["c-3", "unknown"]) == {"c-3": certificates[3]}
    assert await world.records.every_certificate(["enrollment-3", "unknown"]) == {"enrollment-3": [certificates[3]]}


async def test_what_learners_completed_is_found_by_learner(world: World) -> None:
    await world.platform.enroll("enrollment-1", "learner-1", "course-1", completed_at=NOW)
    await world.platform.enroll("enrollment-2", "learner-1", "course-2", completed_at=None)
    await world.platform.enroll("enrollment-3", "learner-2", "course-1", completed_at=None)

    found = await world.records.completed_by(["learner-1", "learner-2", "nobody"])

    assert {user: [e.enrollment_id for e in some] for user, some in found.items()} == {
        "learner-1": ["enrollment-1"],
        "learner-2": [],
    }
    assert await world.records.existing(["enrollment-2", "unknown"]) == {"enrollment-2"}


async def test_a_file_is_whole_while_all_its_parts_are_there(world: World) -> None:
    files = [PdfFile("small", "c-1", b"%PDF-"), PdfFile("large", "c-2", bytes(600_000))]
    await world.store.keep(files)

    assert await world.records.whole_files(["small", "large", "unknown"]) == {"small", "large"}
    await world.store.discard(["small"])
    assert await world.records.whole_files(["small", "large"]) == {"large"}
