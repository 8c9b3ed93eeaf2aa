"""The example records: topic, key, headers and value of every message and of every refusal, as they stand in Kafka."""

import json
import re
from collections.abc import Mapping
from typing import Any

from aiokafka import ConsumerRecord

from docs.contract_files.messages import topic_of
from docs.contract_files.story import AT, COMMANDS, COURSE, ENROLLMENT, LESSON, MESSAGES, USER, refusals
from shared.contracts import envelope as ce
from shared.contracts.gateways import LessonComplete
from shared.contracts.ids import deterministic_id
from shared.contracts.operators import CourseChanged
from shared.contracts.rejections import CommandRejected, Rejection
from shared.contracts.topics import PROGRESS_COMMANDS, PROGRESS_REPLIES, dead_letters_of, replays_of
from shared.contracts.values import Message
from shared.kafka.admission import InvalidPayload
from shared.kafka.deadletter import dead_letter
from shared.kafka.retries import Attempts

Json = dict[str, Any]

DEAD_LETTER, REPLAY = "dead-letter", "replay"
_REPLIES = f"{PROGRESS_REPLIES}.web"
_CORRELATION = "click-7f3a"
_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#: Stands for a token: a real one is a secret.
TOKEN = "Bearer TOKEN"  # noqa: S105 - none
_KEYS = {"userId": USER, "enrollmentId": ENROLLMENT}


def examples() -> dict[str, Json]:
    """Every example record by the name of its file."""
    made = {message.TYPE: _record_of(message) for message in MESSAGES}
    made |= {name_of(refusal): _refused(service, refusal) for service, refusal in refusals()}
    letter = _dead_letter()
    return {**made, DEAD_LETTER: letter, REPLAY: _replayed(letter)}


def examples_of(message_type: str) -> dict[str, Json]:
    """The example records of one message type.

    Raises:
        LookupError: there is none.
    """
    found = {name: made for name, made in examples().items() if made["headers"]["ce_type"] == message_type}
    if not found:
        raise LookupError(f"{message_type} has no example: add one to docs/contract_files/story.py")
    return found


def name_of(refusal: Rejection) -> str:
    """The name of a refusal's example."""
    return f"{CommandRejected.TYPE}.{refusal.code}-{re.sub(r'[^a-z]+', '-', refusal.reason.lower())}"


def _record_of(message: Message) -> Json:
    topic = topic_of(message.TYPE)
    if topic.name == PROGRESS_REPLIES:
        [service, command] = _asked(message.TYPE)
        return _record(_REPLIES, _key(command), _answer_headers(service, command, message.TYPE), message)
    if topic.commands:
        return _record(topic.name, _key(message.TYPE), _command_headers(message.TYPE), message)
    headers = ce.write(
        event_type=message.TYPE,
        event_id=deterministic_id("example", message.TYPE),
        source=f"/services/{topic.producers[0]}",
        time=AT,
        cause=ce.Cause(_CORRELATION, _id_of(LessonComplete.TYPE), _TRACE),
    )
    return _record(topic.name, _KEYS[topic.key], headers, message)


def _asked(reply_type: str) -> tuple[str, str]:
    """Who gives this answer, and to which command."""
    service = {"lesson.marked.v1": "progress", "progress.recalculated.v1": "recalculator"}.get(
        reply_type, "certificates"
    )
    return service, COMMANDS[service]


def _refused(service: str, refusal: Rejection) -> Json:
    command = COMMANDS[service]
    lesson_id = LESSON if command == LessonComplete.TYPE and refusal.outcome != "invalid" else None
    message = CommandRejected(code=refusal.code, reason=refusal.reason, lesson_id=lesson_id)
    return _record(_REPLIES, _key(command), _answer_headers(service, command, message.TYPE), message)


def _command_headers(command: str) -> list[tuple[str, bytes]]:
    sender = "web" if command == LessonComplete.TYPE else "operations"
    headers = ce.write(
        event_type=command, event_id=_id_of(command), source=f"/gateways/{sender}", time=AT, cause=ce.Cause()
    )
    own = {"ce_traceparent": _TRACE, "authorization": TOKEN, "reply-to": _REPLIES, "correlation-id": _CORRELATION}
    return headers + [(name, text.encode()) for name, text in own.items()]


def _answer_headers(service: str, command: str, reply_type: str) -> list[tuple[str, bytes]]:
    headers = ce.write(
        event_type=reply_type,
        event_id=deterministic_id(reply_type, _id_of(command)),
        source=f"/services/{service}",
        time=AT,
        cause=ce.Cause(_CORRELATION, _id_of(command), _TRACE),
    )
    return [*headers, ("correlation-id", _CORRELATION.encode())]


def _dead_letter() -> Json:
    """A command with a number for a lesson, as progress buries it."""
    value = b'{"lessonId":7}'
    received = ConsumerRecord(
        PROGRESS_COMMANDS,
        3,
        41,
        AT,
        1,
        USER.encode(),
        value,
        None,
        -1,
        -1,
        tuple(_command_headers(LessonComplete.TYPE)),
    )
    letter = dead_letter(
        received, group="progress", failure=InvalidPayload(), attempts=Attempts(AT, 1), at=AT, version="0.1.0"
    )
    return _json(
        dead_letters_of("progress"), USER, {n: (v or b"").decode() for n, v in letter.headers}, json.loads(value)
    )


def _replayed(letter: Json) -> Json:
    headers = {**letter["headers"], "x-dead-letter-replays": "1"}
    return _json(replays_of("progress"), letter["key"], headers, letter["value"])


def _id_of(command: str) -> str:
    return deterministic_id("example", command)


def _key(command: str) -> str:
    return {LessonComplete.TYPE: USER, CourseChanged.TYPE: COURSE}.get(command, ENROLLMENT)


def _record(topic: str, key: str, headers: list[tuple[str, bytes]], message: Message) -> Json:
    return _json(topic, key, {name: value.decode() for name, value in headers}, json.loads(message.to_json()))


def _json(topic: str, key: str, headers: Mapping[str, str], value: Json) -> Json:
    return {"topic": topic, "key": key, "headers": dict(headers), "value": value}
