"""Certificates alone, as the recalculator, learners, operators and anyone with a certificate's id see it."""

from collections.abc import AsyncIterator, Mapping
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader

from shared.contracts.ids import deterministic_id, notification_id
from tests.support.alone import Alone, Neighbourhood, same
from tests.support.campus import Learner
from tests.support.conformity import conforming, example
from tests.support.gateway import Seen

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

COMPLETED, ISSUED, NOTIFIED = "course.completed", "certificate.issued", "notification.created"
COMMANDS = "certificate.commands"
GENERATE, REVOKE = "certificate.generate.v1", "certificate.revoke.v1"
AT = 1_700_000_000_000


@pytest.fixture(scope="module")
async def certificates(around: Neighbourhood) -> AsyncIterator[Alone]:
    async with around.alone("certificates") as alone:
        yield alone


@pytest.fixture
async def learner(certificates: Alone) -> Learner:
    """A learner who has completed a course, as the recalculator has stored it."""
    course = await certificates.campus.course(1, title="Analytical Engines", instructor="Charles Babbage")
    learner = await certificates.campus.learner(course, name="Ada Lovelace")
    done = {"$set": {"completedAt": AT, "progressPercent": 100.0, "revision": 1}}
    await certificates.around.db["enrollments"].update_one({"_id": learner.enrollment_id}, done)
    return learner


async def completed(certificates: Alone, learner: Learner) -> None:
    """What the recalculator publishes."""
    place = {"enrollmentId": learner.enrollment_id, "userId": learner.user_id, "courseId": learner.course.id}
    data = {**place, "completedAt": AT}
    await certificates.told(COMPLETED, "course.completed.v1", data, key=learner.enrollment_id)


async def published(certificates: Alone, topic: str, key: str, count: int = 1) -> list[Seen]:
    return await certificates.gateway.wait_for(topic, lambda s: s.key == key.encode(), count=count)


async def issued(certificates: Alone, learner: Learner) -> Mapping[str, Any]:
    """The certificate that was issued for a completed course."""
    await completed(certificates, learner)
    certificate: Mapping[str, Any] = (await published(certificates, ISSUED, learner.enrollment_id))[0].data
    return certificate


async def operated(certificates: Alone, kind: str, enrollment_id: str) -> Seen:
    command = conforming(kind, {"enrollmentId": enrollment_id})
    return await certificates.gateway.operate(kind, command, COMMANDS)


async def text_of(certificates: Alone, certificate_id: str) -> str:
    pdf = await certificates.gateway.get("certificates", f"/v1/certificates/{certificate_id}/pdf")
    assert (pdf.status_code, pdf.headers["content-type"]) == (200, "application/pdf")
    return PdfReader(BytesIO(pdf.content)).pages[0].extract_text()


async def test_a_completed_course_is_a_certificate_that_anyone_can_check(certificates: Alone, learner: Learner) -> None:
    await completed(certificates, learner)

    [event] = await published(certificates, ISSUED, learner.enrollment_id)
    [document] = await certificates.documents("certificates", enrollmentId=learner.enrollment_id)
    certificate_id = document["_id"]
    assert event.data == {
        "certificateId": certificate_id,
        "enrollmentId": learner.enrollment_id,
        "userId": learner.user_id,
        "courseId": learner.course.id,
        "issuedAt": document["issuedAt"],
        "verificationUrl": event.data["verificationUrl"],
    }
    assert event.data["verificationUrl"].endswith(f"/v1/certificates/{certificate_id}")
    assert event.headers["ce_id"] == deterministic_id("certificate.issued.v1", certificate_id).encode()
    assert document["status"] == "issued"
    assert (document["recipientName"], document["courseTitle"]) == ("Ada Lovelace", "Analytical Engines")
    page = (await certificates.gateway.get("certificates", f"/v1/certificates/{certificate_id}")).json()
    assert (page["status"], page["recipientName"], page["instructorName"]) == (
        "issued",
        "Ada Lovelace",
        "Charles Babbage",
    )
    text = await text_of(certificates, certificate_id)
    assert "Ada Lovelace" in text
    assert "Analytical Engines" in text


async def test_the_learner_is_told_twice_of_the_course_and_of_the_certificate(
    certificates: Alone, learner: Learner
) -> None:
    certificate = await issued(certificates, learner)

    told = await published(certificates, NOTIFIED, learner.user_id, count=2)

    by_kind = {event.data["kind"]: event.data for event in told}
    assert by_kind["course_completed"]["body"] == "Congratulations! You've completed Analytical Engines"
    assert by_kind["course_completed"]["link"].endswith(f"/courses/{learner.course.id}")
    assert by_kind["certificate_ready"]["body"] == "Your certificate is ready to download"
    assert by_kind["certificate_ready"]["link"].endswith(f"/v1/certificates/{certificate['certificateId']}/pdf")
    for kind, data in by_kind.items():
        assert data["notificationId"] == notification_id(kind, learner.enrollment_id)
    stored = await certificates.documents("notifications", userId=learner.user_id)
    assert {document["_id"] for document in stored} == {data["notificationId"] for data in by_kind.values()}


async def test_the_same_event_again_makes_no_second_certificate(certificates: Alone, learner: Learner) -> None:
    await issued(certificates, learner)
    await completed(certificates, learner)

    assert same(*await published(certificates, ISSUED, learner.enrollment_id, count=2))
    assert len(await certificates.documents("certificates", enrollmentId=learner.enrollment_id)) == 1
    assert len(await certificates.documents("notifications", userId=learner.user_id)) == 2


async def test_a_certificate_is_made_again_with_the_name_of_today(certificates: Alone, learner: Learner) -> None:
    certificate = await issued(certificates, learner)
    renamed = {"$set": {"name": "Ada King"}}
    await certificates.around.db["users"].update_one({"_id": learner.user_id}, renamed)

    reply = await operated(certificates, GENERATE, learner.enrollment_id)

    requested = {"certificateId": certificate["certificateId"], "status": "issued"}
    assert (reply.type, reply.data) == ("certificate.requested.v1", requested)
    assert "Ada King" in await text_of(certificates, certificate["certificateId"])
    [document] = await certificates.documents("certificates", enrollmentId=learner.enrollment_id)
    assert (document["recipientName"], document["issuedAt"]) == ("Ada King", certificate["issuedAt"])
    files = await certificates.documents("fs.files", **{"metadata.certificateId": certificate["certificateId"]})
    assert [file["_id"] for file in files] == [document["fileId"]]


async def test_a_revoked_certificate_is_withdrawn_for_good(certificates: Alone, learner: Learner) -> None:
    certificate = await issued(certificates, learner)

    reply = await operated(certificates, REVOKE, learner.enrollment_id)

    assert reply.data == {"certificateId": certificate["certificateId"], "status": "revoked"}
    [_, event] = await published(certificates, ISSUED, learner.enrollment_id, count=2)
    [document] = await certificates.documents("certificates", enrollmentId=learner.enrollment_id)
    place = {name: certificate[name] for name in ("certificateId", "enrollmentId", "userId", "courseId")}
    assert (event.type, event.data) == ("certificate.revoked.v1", {**place, "revokedAt": document["revokedAt"]})
    pdf = await certificates.gateway.get("certificates", f"/v1/certificates/{certificate['certificateId']}/pdf")
    assert pdf.status_code == 410


@pytest.mark.parametrize("kind", [GENERATE, REVOKE])
async def test_an_unknown_certificate_is_404_and_a_learner_is_403(
    certificates: Alone, learner: Learner, kind: str
) -> None:
    unknown = await operated(certificates, kind, "nowhere")
    token = certificates.gateway.token(learner.user_id)
    command = {"enrollmentId": learner.enrollment_id}
    forbidden = await certificates.gateway.reply(
        await certificates.gateway.command(kind, command, token=token, topic=COMMANDS)
    )

    assert unknown.data == example("command.rejected.v1.404-certificate-not-found")["value"]
    assert forbidden.data == example("command.rejected.v1.403-operator-role-required")["value"]
    assert await certificates.documents("certificates", enrollmentId=learner.enrollment_id) == []


async def test_a_course_that_is_not_completed_makes_no_certificate(certificates: Alone) -> None:
    learner = await certificates.campus.learner(await certificates.campus.course(1))

    await completed(certificates, learner)

    letter = await certificates.gateway.dead_letter("certificates", lambda s: s.key == learner.enrollment_id.encode())
    assert letter.data["enrollmentId"] == learner.enrollment_id
    assert await certificates.documents("certificates", enrollmentId=learner.enrollment_id) == []


@pytest.mark.parametrize(("topic", "kind"), [(COMPLETED, "course.completed.v1"), (COMMANDS, GENERATE)])
async def test_what_nobody_can_read_is_a_dead_letter_and_its_neighbours_are_handled(
    certificates: Alone, learner: Learner, topic: str, kind: str
) -> None:
    await certificates.poisoned(topic, kind)

    assert await issued(certificates, learner)
