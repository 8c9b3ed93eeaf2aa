"""Every answer of the contract that the acceptance tests do not show already."""

import asyncio

import pytest

from shared.contracts.topics import reply_topic
from shared.kafka.provisioning import create_missing
from tests.support.campus import Campus
from tests.support.gateway import Gateway
from tests.support.system import System


async def test_a_preview_is_422_and_writes_nothing(gateway: Gateway, campus: Campus) -> None:
    course = await campus.course(1, preview=1)
    learner = await campus.learner(course)
    preview = f"{course.id}-p0"

    reply = await gateway.complete(learner.user_id, preview)

    assert reply.data == {"code": 422, "reason": "Preview lessons are not tracked", "lessonId": preview}
    assert await campus.records(learner) == []


@pytest.mark.parametrize("gone", ["courseModules", "courses"])
async def test_a_lesson_whose_module_or_course_is_gone_is_404_module_not_found(
    gateway: Gateway, campus: Campus, gone: str
) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)
    await campus.db[gone].delete_one({"_id": course.modules[0] if gone == "courseModules" else course.id})

    reply = await gateway.complete(learner.user_id, course.lessons[0])

    assert reply.data == {"code": 404, "reason": "Module not found", "lessonId": course.lessons[0]}


async def test_a_gateway_with_a_private_reply_topic_is_answered_there(
    gateway: Gateway, campus: Campus, system: System
) -> None:
    topic = reply_topic("test-gateway")
    await create_missing(system.target.settings.kafka, topics=[topic])
    course = await campus.course(1)
    learner = await campus.learner(course)
    async with system.target.reader(topic.name) as replies:
        correlation = await gateway.command(
            "lesson.complete.v1",
            {"lessonId": course.lessons[0]},
            token=gateway.token(learner.user_id),
            reply_to=topic.name,
        )
        record = await asyncio.wait_for(replies.getone(), 60)

    headers = dict(record.headers)
    assert headers["ce_type"] == b"lesson.marked.v1"
    assert headers["correlation-id"] == headers["ce_causationid"] == correlation.encode()
    assert record.key == b"key"


async def test_a_certificate_is_made_again_with_the_same_id_and_nobody_is_told_twice(
    gateway: Gateway, campus: Campus
) -> None:
    course = await campus.course(1, title="Old title")
    learner = await campus.learner(course)
    await gateway.complete(learner.user_id, course.lessons[0])
    issued = await gateway.certificate(learner.enrollment_id)
    await campus.db["courses"].update_one({"_id": course.id}, {"$set": {"title": "New title"}})

    reply = await gateway.operate(
        "certificate.generate.v1", {"enrollmentId": learner.enrollment_id}, "certificate.commands"
    )

    assert reply.type == "certificate.requested.v1"
    assert reply.data == {"certificateId": issued["certificateId"], "status": "issued"}
    page = (await gateway.get("certificates", f"/v1/certificates/{issued['certificateId']}")).json()
    assert (page["courseTitle"], page["issuedAt"]) == ("New title", issued["issuedAt"])
    assert len(await campus.notifications(learner)) == 2


async def test_a_revoked_certificate_is_410_and_stays_revoked(gateway: Gateway, campus: Campus) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)
    await gateway.complete(learner.user_id, course.lessons[0])
    issued = await gateway.certificate(learner.enrollment_id)
    command = {"enrollmentId": learner.enrollment_id}

    revoked = await gateway.operate("certificate.revoke.v1", command, "certificate.commands")
    again = await gateway.operate("certificate.generate.v1", command, "certificate.commands")

    assert (revoked.data["status"], again.data["status"]) == ("revoked", "revoked")
    path = f"/v1/certificates/{issued['certificateId']}"
    assert (await gateway.get("certificates", f"{path}/pdf")).status_code == 410
    page = (await gateway.get("certificates", path)).json()
    assert page["status"] == "revoked"
    assert page["revokedAt"] is not None
    events = await gateway.wait_for(
        "certificate.issued", lambda s: s.type == "certificate.revoked.v1" and s.key == learner.enrollment_id.encode()
    )
    assert {(e.headers["ce_id"], e.data["revokedAt"]) for e in events} == {
        (events[0].headers["ce_id"], page["revokedAt"])
    }


async def test_a_name_no_font_has_makes_a_failed_certificate_that_generate_mends(
    gateway: Gateway, campus: Campus
) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course, name="Learner \U00013080")
    await gateway.complete(learner.user_id, course.lessons[0])
    await gateway.wait_for("notification.created", lambda s: s.key == learner.user_id.encode())
    [failed] = await campus.certificates(learner)
    assert (failed["status"], failed["failure"]) == ("failed", {"code": "glyph_missing"})
    assert (await gateway.get("certificates", f"/v1/certificates/{failed['_id']}/pdf")).status_code == 409

    await campus.db["users"].update_one({"_id": learner.user_id}, {"$set": {"name": "Learner"}})
    reply = await gateway.operate(
        "certificate.generate.v1", {"enrollmentId": learner.enrollment_id}, "certificate.commands"
    )

    assert reply.data == {"certificateId": failed["_id"], "status": "issued"}
    told = await gateway.wait_for("notification.created", lambda s: s.key == learner.user_id.encode(), count=2)
    assert {s.data["kind"] for s in told} == {"course_completed", "certificate_ready"}


async def test_an_unknown_certificate_is_404_everywhere(gateway: Gateway) -> None:
    assert (await gateway.get("certificates", "/v1/certificates/unknown")).status_code == 404
    assert (await gateway.get("certificates", "/v1/certificates/unknown/pdf")).status_code == 404
    reply = await gateway.operate("certificate.generate.v1", {"enrollmentId": "unknown"}, "certificate.commands")
    assert reply.data["code"] == 404


async def test_a_course_completed_for_an_enrollment_that_is_not_is_a_dead_letter(
    gateway: Gateway, campus: Campus
) -> None:
    course = await campus.course(2)
    learner = await campus.learner(course)
    event = {"enrollmentId": learner.enrollment_id, "userId": learner.user_id, "courseId": course.id, "completedAt": 1}

    await gateway.command("course.completed.v1", event, token=None, topic="course.completed", key=learner.enrollment_id)

    letter = await gateway.dead_letter("certificates", lambda s: s.key == learner.enrollment_id.encode())
    assert letter.data == event
    assert await campus.certificates(learner) == []
