"""`lesson-progress dead-letters` on a system that runs: found, shown, sent again once the cause is mended, put away."""

import json
import stat
from pathlib import Path
from typing import Any

from shared.contracts.topics import CERTIFICATE_ISSUED, COURSE_COMPLETED, PROGRESS_COMMANDS
from tests.support.campus import Campus, Learner
from tests.support.command_line import lesson_progress
from tests.support.eventually import eventually
from tests.support.gateway import Gateway, Seen
from tests.support.issuer import NOW
from tests.support.system import System


def position_of(letter: Seen) -> str:
    found = (letter.headers[f"x-dead-letter-{name}"] or b"" for name in ("topic", "partition", "offset"))
    return ":".join(value.decode() for value in found)


async def letters(system: System, *arguments: str) -> list[dict[str, Any]]:
    listed = await lesson_progress(system, "dead-letters", "list", *arguments, "--json")
    assert listed.code == 0, listed.err
    rows: list[dict[str, Any]] = listed.json
    return rows


async def in_state(system: System, position: str, state: str) -> bool:
    [row] = await letters(system, position)
    return bool(row["state"] == state)


async def completed_too_early(gateway: Gateway, learner: Learner, course_id: str) -> Seen:
    """An event that says an enrollment is completed of which the database does not know it."""
    data = {"enrollmentId": learner.enrollment_id, "userId": learner.user_id, "courseId": course_id, "completedAt": NOW}
    await gateway.send(
        COURSE_COMPLETED,
        json.dumps(data).encode(),
        key=learner.enrollment_id.encode(),
        headers=[("ce_type", b"course.completed.v1")],
    )
    return await gateway.dead_letter("certificates", lambda s: s.key == learner.enrollment_id.encode())


async def test_a_dead_letter_whose_cause_is_mended_has_its_effect_once_however_often_it_is_replayed(
    gateway: Gateway, campus: Campus, system: System
) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)
    letter = await completed_too_early(gateway, learner, course.id)
    position = position_of(letter)
    [found] = await letters(system, "--key", learner.enrollment_id)
    assert (found["position"], found["state"], found["replays"]) == (position, "open", 0)
    assert found["error"] == "EnrollmentNotCompleted"
    await campus.db["enrollments"].update_one({"_id": learner.enrollment_id}, {"$set": {"completedAt": NOW}})

    dry = await lesson_progress(system, "dead-letters", "replay", "--key", learner.enrollment_id)
    sent = await lesson_progress(system, "dead-letters", "replay", "--key", learner.enrollment_id, "--yes", "--json")

    assert (dry.code, sent.code, sent.json["sent"]) == (0, 0, 1), sent.err
    assert "certificates: EnrollmentNotCompleted: 1 letter to replay" in dry.out
    assert "nothing was done" in dry.out
    issued = await gateway.certificate(learner.enrollment_id)
    await eventually(lambda: in_state(system, position, "handled"), within=30)

    found_again = await lesson_progress(system, "dead-letters", "replay", "--key", learner.enrollment_id, "--yes")
    named = await lesson_progress(system, "dead-letters", "replay", position, "--yes")

    assert "1 letter left alone: it was sent already" in found_again.out
    assert named.code == 0, named.err
    await eventually(lambda: in_state(system, position, "handled"), within=30)
    [row] = await letters(system, position)
    assert (row["replays"], row["copies"]) == (2, 1)
    [certificate] = await campus.certificates(learner)
    assert certificate["_id"] == issued["certificateId"]
    assert len(await campus.notifications(learner)) == 2
    mine = gateway.seen(CERTIFICATE_ISSUED, lambda s: s.key == learner.enrollment_id.encode())
    assert len({(event.headers["ce_id"], event.raw) for event in mine}) == 1


async def test_what_dies_again_is_the_same_letter_and_is_refused_after_three_replays(
    gateway: Gateway, system: System
) -> None:
    secret = gateway.token("learner-of-poison")
    await gateway.send(
        PROGRESS_COMMANDS, b"\xff poison", key=b"poison-1",
        headers=[("ce_type", b"lesson.complete.v1"), ("authorization", f"Bearer {secret}".encode()), ("x", b"\xfe")],
    )  # fmt: skip
    letter = await gateway.dead_letter("progress", lambda s: s.key == b"poison-1")
    position = position_of(letter)

    for replays in (1, 2, 3):
        sent = await lesson_progress(system, "dead-letters", "replay", position, "--yes")
        assert sent.code == 0, sent.err
        await eventually(lambda: in_state(system, position, "came back"), within=30)
        [row] = await letters(system, position)
        assert (row["position"], row["replays"], row["copies"]) == (position, replays, 1)
    refused = await lesson_progress(system, "dead-letters", "replay", position, "--yes")

    assert refused.code == 1
    assert "it was replayed 3 times" in refused.err
    deaths = gateway.seen("progress.deadletters", lambda s: s.key == b"poison-1")
    assert len(deaths) == 4
    for death in deaths:
        assert position_of(death) == position
        assert (death.raw, death.record.headers[:3]) == (letter.raw, letter.record.headers[:3])
        assert death.headers["x-dead-letter-timestamp"] == letter.headers["x-dead-letter-timestamp"]


async def test_a_letter_is_shown_without_its_token_and_its_value_is_written_for_its_owner_alone(
    gateway: Gateway, system: System, tmp_path: Path
) -> None:
    secret = gateway.token("learner-of-poison")
    value = b'{"lessonId": 7, "note": "' + secret.encode() + b'"}\x1b[2J'
    headers: list[tuple[str, bytes | None]] = [
        ("ce_type", b"lesson.complete.v1"), ("authorization", f"Bearer {secret}".encode()), ("x-copy", secret.encode())
    ]  # fmt: skip
    await gateway.send(PROGRESS_COMMANDS, value, key=b"poison-2", headers=headers)
    position = position_of(await gateway.dead_letter("progress", lambda s: s.key == b"poison-2"))
    raw = tmp_path / "value"

    shown = await lesson_progress(system, "dead-letters", "show", position, "--raw", str(raw))
    again = await lesson_progress(system, "dead-letters", "show", position, "--raw", str(raw), "--json")

    assert shown.code == 0, shown.err
    assert "x-dead-letter-error: InvalidPayload" in shown.out
    assert '"lessonId": 7' in shown.out
    for ended in (shown, again):
        assert secret[:40] not in ended.out + ended.err
        assert "\x1b" not in ended.out
    assert raw.read_bytes() == value
    assert stat.S_IMODE(raw.stat().st_mode) == 0o600
    assert (again.code, again.json["valueBytes"]) == (1, len(value))
    assert "is there already" in again.err


async def test_a_discarded_letter_is_out_of_the_way_and_still_there(gateway: Gateway, system: System) -> None:
    await gateway.send(PROGRESS_COMMANDS, None, key=b"poison-3", headers=[])
    position = position_of(await gateway.dead_letter("progress", lambda s: s.key == b"poison-3"))
    discard = ("dead-letters", "discard", "--key", "poison-3", "--reason", "a test of ours")

    dry = await lesson_progress(system, *discard)
    assert [row["state"] for row in await letters(system, "--key", "poison-3")] == ["open"]
    done = await lesson_progress(system, *discard, "--yes")

    assert (dry.code, done.code) == (0, 0), done.err
    assert await letters(system, "--key", "poison-3") == []
    [row] = await letters(system, "--key", "poison-3", "--all")
    assert (row["state"], row["discarded"]["reason"]) == ("discarded", "a test of ours")
    passed_over = await lesson_progress(system, "dead-letters", "replay", "--key", "poison-3", "--yes")
    assert "1 letter left alone: it is discarded" in passed_over.out
    named = await lesson_progress(system, "dead-letters", "replay", position, "--yes")
    assert named.code == 0, named.err
    await eventually(lambda: in_state(system, position, "came back"), within=30)
