"""CloudEvents by their own SDK: it reads whatever the services write, and the services hear what it writes."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from structlog.testing import capture_logs

from docs.contract_files.messages import every_message
from shared.contracts.envelope import rfc3339
from shared.contracts.gateways import LessonComplete
from shared.contracts.operators import CertificateGenerate, CourseChanged, ProgressRecalculate
from shared.contracts.topics import CERTIFICATE_COMMANDS, PROGRESS_COMMANDS, RECALCULATION_COMMANDS
from shared.contracts.values import Message
from shared.kafka.records import Record
from tests.support.builders import enrollment_id, record, token
from tests.support.issuer import NOW
from tests.support.published import REPLIES, Published, everything_published

ENROLLMENT = enrollment_id("learner-1")


def read(written: Record) -> CloudEvent:
    """What the SDK makes of a record."""
    headers = {name: value for name, value in written.headers if value is not None}
    assert len(headers) == len(written.headers), "a header stands twice"
    event = from_binary(KafkaMessage(headers, written.key, written.value or b""), JSONFormat())
    assert isinstance(event, CloudEvent)
    return event


def command(message: Message, topic: str, *, operator: bool) -> Record:
    """A command that the SDK writes, with the headers that CloudEvents knows nothing of."""
    event = CloudEvent(
        attributes={
            "type": message.TYPE,
            "source": "/gateways/sdk",
            "id": f"sdk-{message.TYPE}",
            "time": datetime.fromtimestamp(NOW / 1000, UTC),
            "datacontenttype": "application/json",
            "partitionkey": "the key",
        },
        data=json.loads(message.to_json()),
    )
    sent = to_binary(event, JSONFormat())
    own = {"authorization": token("learner-1", operator=operator), "reply-to": REPLIES.encode()}
    assert isinstance(sent.key, str)
    return record(topic, key=sent.key.encode(), value=sent.value, headers=[*sent.headers.items(), *own.items()])


async def test_the_sdk_reads_every_event_and_every_reply_that_is_published() -> None:
    with capture_logs():
        written = (await everything_published()).by_type()

    commands = {"lesson.complete.v1", "progress.recalculate.v1", "course.changed.v1", "certificate.generate.v1"}
    assert written.keys() == every_message().keys() - commands - {"certificate.revoke.v1", "certificate.restore.v1"}
    for message_type, records in written.items():
        for sent in records:
            event = read(sent)
            moment = event.get_time()
            assert (event.get_type(), event.get_specversion()) == (message_type, "1.0")
            assert event.get_source().startswith("/services/")
            assert event.get_datacontenttype() == "application/json"
            assert event.get_data() == json.loads(sent.value or b"")
            assert moment is not None
            assert dict(sent.headers)["ce_time"] == rfc3339(round(moment.timestamp() * 1000)).encode()


async def test_the_sdk_sees_what_a_message_follows_from_as_extensions() -> None:
    with capture_logs():
        [marked] = (await everything_published()).by_type()["lesson.marked.v1"]
    event = read(marked)

    assert event.get_extension("causationid") == "learner-1/lesson-1"
    assert event.get_extension("correlationid") == "click-7"
    assert event.get_extension("traceparent").startswith("00-")


@pytest.mark.parametrize(
    ("message", "topic", "operator", "answer"),
    [
        (LessonComplete(lesson_id="lesson-1"), PROGRESS_COMMANDS, False, "lesson.marked.v1"),
        (ProgressRecalculate(enrollment_id=ENROLLMENT), RECALCULATION_COMMANDS, True, "progress.recalculated.v1"),
        (CourseChanged(course_id="course-1"), RECALCULATION_COMMANDS, True, None),
        (CertificateGenerate(enrollment_id="nobody"), CERTIFICATE_COMMANDS, True, "command.rejected.v1"),
    ],
    ids=lambda value: getattr(value, "TYPE", ""),
)
async def test_the_services_hear_what_the_sdk_writes(
    message: Message, topic: str, *, operator: bool, answer: str | None
) -> None:
    system = Published()
    await system.prepare()
    with capture_logs():
        await system.sent([command(message, topic, operator=operator)])

    answers: list[Any] = [read(reply) for reply in system.log.read(REPLIES)]
    assert [reply.get_type() for reply in answers] == ([] if answer is None else [answer])
    assert [reply.get_extension("causationid") for reply in answers] == [f"sdk-{message.TYPE}"] * len(answers)
    for service in ("progress", "recalculator", "certificates"):
        assert system.log.read(f"{service}.deadletters") == []
