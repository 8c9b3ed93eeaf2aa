"""Whatever is sent in: a clear answer, the neighbours unaffected, nothing written."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from joserfc import jwt
from joserfc.jwk import RSAKey

from ops.stacks import StackKind
from tests.support.campus import Campus
from tests.support.eventually import eventually
from tests.support.gateway import Gateway
from tests.support.system import System

COMMANDS = "progress.commands"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "value",
    [
        b"{",
        b"\xff\xfe\x00",
        b"",
        b"[]",
        b"{}",
        b'"text"',
        b'{"lessonId": 7}',
        b'{"lessonId": null}',
        b'{"lessonId": ""}',
        b'{"lessonId": "a\\u0000b"}',
        b'{"lessonId": "\\ud800"}',
        b'{"lessonId": "' + b"x" * 256 + b'"}',
        b'{"lesson_id": "snake"}',
    ],
)
async def test_an_unreadable_payload_with_a_good_token_is_400_and_a_dead_letter_with_the_original_bytes(
    gateway: Gateway, value: bytes
) -> None:
    token = gateway.token("user-of-bad-payloads")
    correlation = await gateway.command("lesson.complete.v1", value, token=token)

    reply = await gateway.reply(correlation)
    letter = await gateway.dead_letter("progress", lambda s: s.headers.get("correlation-id") == correlation.encode())

    assert reply.data == {"code": 400, "reason": "Invalid command"}
    assert (letter.raw or b"") == value
    assert letter.key == b"key"
    assert letter.headers["x-dead-letter-error"] == b"InvalidPayload"
    assert letter.headers["x-dead-letter-topic"] == COMMANDS.encode()
    assert letter.headers["authorization"] == b"Bearer " + token.encode()


async def test_extra_fields_are_ignored_and_a_user_id_in_the_payload_changes_nothing(
    gateway: Gateway, campus: Campus
) -> None:
    course = await campus.course(2)
    learner, victim = await campus.learner(course), await campus.learner(course)
    data = {"lessonId": course.lessons[0], "userId": victim.user_id, "sub": victim.user_id, "more": [1]}

    correlation = await gateway.command("lesson.complete.v1", data, token=gateway.token(learner.user_id))

    assert (await gateway.reply(correlation)).type == "lesson.marked.v1"
    assert len(await campus.records(learner)) == 1
    assert await campus.records(victim) == []


@pytest.mark.parametrize("lesson", ["$where", "a.b", "../x", "{$gt: ''}", "лекция", "\U0001f4a5"])
async def test_ids_with_dollars_dots_and_any_script_are_only_ids(gateway: Gateway, lesson: str) -> None:
    reply = await gateway.complete("user-of-odd-ids", lesson)

    assert reply.data == {"code": 404, "reason": "Lesson not found", "lessonId": lesson}


async def test_unknown_types_versions_modes_and_headers_are_dead_letters_without_an_answer_and_neighbours_go_on(
    gateway: Gateway, campus: Campus
) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)
    token = ("authorization", b"Bearer " + gateway.token(learner.user_id).encode())
    value = json.dumps({"lessonId": course.lessons[0]}).encode()
    good_type: tuple[str, bytes | None] = ("ce_type", b"lesson.complete.v1")
    asking = [("reply-to", b"progress.replies"), ("correlation-id", b"not-understood")]
    cases: list[tuple[str, list[tuple[str, bytes | None]]]] = [
        ("UnreadableEnvelope", []),
        ("UnreadableEnvelope", [("ce_type", None), token]),
        ("UnreadableEnvelope", [("ce_type", b"\xff\xfe"), token]),
        ("UnreadableEnvelope", [good_type, good_type, token]),
        ("UnreadableEnvelope", [good_type, token, ("content-type", b"application/cloudevents+json")]),
        ("UnknownType", [("ce_type", b"lesson.complete.v2"), token]),
        ("UnknownType", [("ce_type", b"lesson.exploded.v1"), token]),
        ("UnknownType", [("ce_type", b"progress.recalculate.v1"), token]),
    ]
    for number, (_, headers) in enumerate(cases):
        await gateway.send(
            COMMANDS, value, key=None, headers=[*headers, ("case", b"%d" % number), *asking], partition=0
        )
    after = await gateway.command("lesson.complete.v1", value, token=gateway.token(learner.user_id), partition=0)

    assert (await gateway.reply(after)).type == "lesson.marked.v1"
    for number, (error, headers) in enumerate(cases):
        letter = await gateway.dead_letter("progress", lambda s, n=number: s.headers.get("case") == b"%d" % n)  # type: ignore[misc]
        assert letter.headers["x-dead-letter-error"] == error.encode()
        assert letter.raw == value
        assert letter.key is None
        assert list(letter.record.headers)[: len(headers)] == headers
    assert len(await campus.records(learner)) == 1
    assert not gateway.seen("progress.replies", lambda s: s.headers.get("correlation-id") == b"not-understood")


async def test_garbage_in_headers_nobody_named_is_harmless(gateway: Gateway, campus: Campus) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)
    extra: list[tuple[str, bytes | None]] = [("junk", b"\xff\x00\xfe"), ("junk", None), ("ce_traceparent", b"\xff")]

    correlation = await gateway.command(
        "lesson.complete.v1", {"lessonId": course.lessons[0]}, token=gateway.token(learner.user_id), key="", extra=extra
    )

    assert (await gateway.reply(correlation)).type == "lesson.marked.v1"


def _forged(gateway: Gateway, course: str) -> dict[str, str]:
    """Tokens that prove nothing, by what is wrong with them."""
    now = int(time.time())
    claims = {"iss": "https://lesson-progress.localhost/", "aud": "lesson-progress", "sub": course, "exp": now + 600}
    good = gateway.token(course)
    kid = json.loads(base64.urlsafe_b64decode(good.split(".")[0] + "=="))["kid"]
    public = json.loads(gateway.identity.key_set.read_bytes())["keys"][0]
    stranger = RSAKey.generate_key(2048)

    def hmac_token(secret: bytes) -> str:
        head = _b64(json.dumps({"alg": "HS256", "kid": kid}).encode()) + "." + _b64(json.dumps(claims).encode())
        return head + "." + _b64(hmac.new(secret, head.encode(), hashlib.sha256).digest())

    def unsigned(algorithm: str) -> str:
        return _b64(json.dumps({"alg": algorithm, "kid": kid}).encode()) + "." + _b64(json.dumps(claims).encode()) + "."

    def signed(changed: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": kid}, claims | changed, gateway.identity._key, algorithms=["RS256"])

    return {
        "empty": "",
        "garbage": "not.a.token",
        "none": unsigned("none"),
        "stripped": good.rsplit(".", 1)[0] + ".",
        "hmac-with-the-public-key-as-jwk": hmac_token(json.dumps(public).encode()),
        "hmac-with-the-public-key-as-pem": hmac_token(RSAKey.import_key(public).as_pem(private=False)),
        "another-key-of-the-same-name": jwt.encode({"alg": "RS256", "kid": kid}, claims, stranger),
        "a-key-it-brings-itself": jwt.encode(
            {"alg": "RS256", "kid": "mine", "jwk": stranger.as_dict(private=False)}, claims, stranger
        ),
        "expired": signed({"exp": now - 3600}),
        "wrong-issuer": signed({"iss": "https://elsewhere.example/"}),
        "wrong-audience": signed({"aud": "another-product"}),
        "no-subject": signed({"sub": ""}),
    }


async def test_forged_expired_and_foreign_tokens_are_401_and_write_nothing(gateway: Gateway, campus: Campus) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)
    data = {"lessonId": course.lessons[0]}
    correlations = {
        name: await gateway.command("lesson.complete.v1", data, token=token)
        for name, token in _forged(gateway, learner.user_id).items()
    }
    correlations["absent"] = await gateway.command("lesson.complete.v1", data, token=None)
    good = b"Bearer " + gateway.token(learner.user_id).encode()
    correlations["twice"] = await gateway.command(
        "lesson.complete.v1", data, token=None, extra=[("authorization", good), ("authorization", good)]
    )
    correlations["null"] = await gateway.command(
        "lesson.complete.v1", data, token=None, extra=[("authorization", None)]
    )

    for name, correlation in correlations.items():
        reply = await gateway.reply(correlation)
        assert reply.type == "command.rejected.v1", name
        assert (reply.data["code"], reply.data["reason"]) == (401, "Not authenticated"), name
    for token in filter(None, _forged(gateway, learner.user_id).values()):
        answer = await gateway.http.get(
            gateway._urls("progress") + f"/v1/courses/{course.id}/progress",
            headers={"authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 401
    assert await campus.records(learner) == []


@pytest.mark.parametrize(
    "topic", ["lesson.completed", "progress.commands", "__consumer_offsets", "progress.replies.absent"]
)
async def test_a_hostile_or_absent_reply_topic_is_dropped_and_counted_and_the_command_is_recorded(
    gateway: Gateway, campus: Campus, topic: str
) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)
    reason = "absent" if topic.startswith("progress.replies") else "refused"
    sample = f'lesson_progress_replies_dropped_total{{reason="{reason}"}}'
    before = await gateway.metric("progress", sample)

    await gateway.command(
        "lesson.complete.v1", {"lessonId": course.lessons[0]}, token=gateway.token(learner.user_id), reply_to=topic
    )

    await gateway.progressed(learner.enrollment_id, completed=1)
    await eventually(lambda: _is(gateway, sample, before + 1))
    assert not gateway.seen("lesson.completed", lambda s: s.type == "lesson.marked.v1")


async def _is(gateway: Gateway, sample: str, expected: float) -> bool:
    return await gateway.metric("progress", sample) == expected


async def test_a_learner_sees_nothing_of_another_learners_course(gateway: Gateway, campus: Campus) -> None:
    theirs, own = await campus.course(2), await campus.course(2)
    owner, curious = await campus.learner(theirs), await campus.learner(own)
    await gateway.complete(owner.user_id, theirs.lessons[0])

    assert await gateway.progress(curious.user_id, theirs.id) is None
    assert await gateway.next_lesson(curious.user_id, theirs.id) is None


@pytest.mark.parametrize("path", ["a%00b", "%24where", "x" * 300, "..%2F..", "no-such-course"])
async def test_hostile_course_ids_over_http_get_a_clear_answer(gateway: Gateway, path: str) -> None:
    answer = await gateway.get("progress", f"/v1/courses/{path}/progress", user_id="user-of-odd-ids")

    assert answer.status_code in {200, 404, 422}
    if answer.status_code == 200:
        assert answer.json() is None
    else:
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_value_over_the_topics_limit_is_refused_by_the_broker_or_becomes_a_dead_letter(
    gateway: Gateway, campus: Campus, system: System
) -> None:
    course = await campus.course(1)
    learner = await campus.learner(course)
    value = json.dumps({"lessonId": course.lessons[0], "padding": "x" * (300 * 1024)}).encode()
    token = gateway.token(learner.user_id)

    if system.stack.kind is StackKind.KAFKA:
        with pytest.raises(MessageSizeTooLargeError):
            await gateway.command("lesson.complete.v1", value, token=token)
    else:
        try:
            correlation = await gateway.command("lesson.complete.v1", value, token=token)
        except KafkaError:
            correlation = ""
        if correlation:
            wanted = correlation.encode()
            letter = await gateway.dead_letter("progress", lambda s: s.headers.get("correlation-id") == wanted)
            assert letter.headers["x-dead-letter-error"] == b"TooLarge"
            assert letter.raw == value
    assert await campus.records(learner) == []
