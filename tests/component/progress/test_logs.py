"""The log as it is written: one JSON object a line, and no token, e-mail address or body in any of them."""

import asyncio
import io
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import Transient
from shared.observability.logging import configure
from tests.support.builders import Header, command, record, signed_token
from tests.support.fake_log import FakeLog
from tests.support.fakes_progress import FakeProgressStore
from tests.support.issuer import NOW, Signer, claims
from tests.support.key_set import FakeClock
from tests.support.process import Process

SECRET = "hunter2-7f3a9c"
EMAIL = "ada@example.org"


class Written:
    """What stands on standard output."""

    def __init__(self) -> None:
        self.buffer = io.BytesIO()

    @property
    def text(self) -> str:
        return self.buffer.getvalue().decode()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """The process' real chain, for one test."""
    out = Written()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    original = structlog.configure
    # Loggers that keep their chain would outlive this test.
    monkeypatch.setattr(
        structlog, "configure", lambda **options: original(**{**options, "cache_logger_on_first_use": False})
    )
    monkeypatch.setattr("sys.stdout", out)
    configure("progress", clock=FakeClock())
    yield out
    structlog.reset_defaults()
    root.handlers[:], root.level = before[0], before[1]


async def test_a_record_is_one_json_line_with_the_service_s_name(
    written: Written, process: Process, log: FakeLog, issuer: Signer
) -> None:
    log.add(command(authorization=signed_token(issuer)))

    await process.run()

    [line] = written.lines
    assert line == {
        "service": "progress",
        "event": "lesson.completed",
        "level": "info",
        "topic": "progress.commands",
        "partition": 0,
        "offset": 0,
        "correlationId": "learner-1/lesson-1",
        "outcome": "recorded",
        "durationMs": line["durationMs"],
        "userId": "learner-1",
        "lessonId": "lesson-1",
        "courseId": "course-1",
        "timestamp": NOW,
    }


async def test_a_line_without_its_own_time_has_the_clock_s(
    written: Written, process: Process, log: FakeLog, issuer: Signer
) -> None:
    log.add(command("nowhere", authorization=signed_token(issuer)))
    await process.run()
    assert [line["timestamp"] for line in written.lines] == [NOW]


NASTY: dict[str, list[Header]] = {
    "a forged token": [("authorization", f"Bearer {SECRET}.{SECRET}.{SECRET}".encode())],
    "two tokens": [("authorization", SECRET.encode()), ("authorization", SECRET.encode())],
    "another header": [("x-password", SECRET.encode())],
    "an unknown type": [("ce_type", f"{SECRET}.v1".encode())],
    "an unreadable content type": [("content-type", SECRET.encode())],
    "a forbidden reply topic": [("reply-to", SECRET.encode())],
    "an absent reply topic": [("reply-to", f"progress.replies.{SECRET}".encode())],
    "a traceparent": [("ce_traceparent", SECRET.encode())],
}


@pytest.mark.parametrize("headers", NASTY.values(), ids=NASTY.keys())
@pytest.mark.parametrize(
    "value", [b'{"lessonId":"lesson-1"}', f'{{"lessonId":["{SECRET}"]}}'.encode(), SECRET.encode()]
)
async def test_nothing_a_sender_keeps_to_himself_is_logged(
    written: Written, process: Process, log: FakeLog, headers: list[Header], value: bytes
) -> None:
    own = [("ce_type", b"lesson.complete.v1")] if not any(name == "ce_type" for name, _ in headers) else []
    log.add(record(value=value, key=SECRET.encode(), headers=[*own, *headers]))

    await process.run()

    assert written.lines
    assert SECRET not in written.text


async def test_claims_of_a_good_token_are_not_logged_but_for_the_learner_s_id(
    written: Written, process: Process, log: FakeLog, issuer: Signer
) -> None:
    token = issuer.bearer(claims(email=EMAIL, name=SECRET, jti=SECRET))
    log.add(command(authorization=token.encode()), command("nowhere", authorization=token.encode()))

    await process.run()

    assert len(written.lines) == 2
    assert not any(word in written.text for word in (SECRET, EMAIL, token, token.split(".")[2]))


async def test_a_bug_s_own_words_are_not_logged(
    written: Written, process: Process, log: FakeLog, issuer: Signer, store: FakeProgressStore
) -> None:
    # What a library says of an error may hold what a sender wrote: pydantic, SMTP and others do.
    store.bugs["learner-1"] = ValueError(f"550 <{EMAIL}>: cannot read {SECRET}")
    log.add(command(authorization=signed_token(issuer)))

    await process.run()

    assert SECRET not in written.text
    assert EMAIL not in written.text
    failed = [line for line in written.lines if line["event"] == "batch.failed"]
    assert failed[0]["error"] == "ValueError"
    assert any("handlers.py" in place and "mark_complete" in place for place in failed[0]["stack"])


async def test_the_cause_of_a_bug_is_named_too(written: Written) -> None:
    failure = RuntimeError(SECRET)
    failure.__cause__ = KeyError(SECRET)
    structlog.get_logger().error("it.failed", exc_info=failure)

    [line] = written.lines
    assert (line["error"], line["cause"]) == ("RuntimeError", "KeyError")
    assert SECRET not in written.text


async def test_a_bug_behind_http_is_not_quoted(
    written: Written, http: httpx.AsyncClient, store: FakeProgressStore, learner: dict[str, str]
) -> None:
    store.failures = [ValueError(SECRET)]
    await http.get("/v1/courses/course-1/progress", headers=learner)
    assert SECRET not in written.text
    assert learner["authorization"] not in written.text


async def test_what_waits_is_said_without_the_outside_s_words(
    written: Written, process: Process, log: FakeLog, issuer: Signer, store: FakeProgressStore
) -> None:
    store.failures = [Transient(f"mongodb://user:{SECRET}@host")]
    log.add(command(authorization=signed_token(issuer)))
    await process.run()
    assert {line["event"] for line in written.lines} == {"record.waits", "lesson.completed"}
    [waits] = [line for line in written.lines if line["event"] == "record.waits"]
    place = (waits["topic"], waits["partition"], waits["offset"])
    assert (*place, waits["error"], waits["attempt"]) == ("progress.commands", 0, 0, "Transient", 1)
    assert waits["seconds"] >= 0
    assert SECRET not in written.text


@pytest.mark.parametrize(
    ("logger", "message", "arguments", "said"),
    [
        ("aiokafka.consumer", "Failed fetch of %s", (SECRET,), "Failed fetch of …"),
        ("aiokafka.consumer", "Unable connect to %s", (SECRET,), "Unable connect to …"),
        ("aiokafka", "Heartbeat of %(key)s", ({"key": SECRET},), "Heartbeat of …"),
        (
            "aiokafka",
            "Unable connect to node with id %s: %s",
            (1, ConnectionRefusedError(SECRET)),
            "Unable connect to node with id 1: ConnectionRefusedError",
        ),
        (
            "aiokafka",
            'Unable connect to "%s:%s": %r, 5 %% of them',
            ("kafka-1", 9092, OSError(SECRET)),
            'Unable connect to "kafka-1:9092": OSError, 5 % of them',
        ),
        (
            "asyncio",
            f"Task exception was never retrieved\nfuture: <Task exception=ValueError('{SECRET}')>",
            (),
            "Task exception was never retrieved",
        ),
        ("uvicorn.error", "Exception in ASGI application\n", (), "Exception in ASGI application"),
    ],
)
async def test_of_a_library_s_record_only_the_first_line_is_written_and_no_argument_that_may_be_a_secret(
    written: Written, logger: str, message: str, arguments: tuple[object, ...], said: str
) -> None:
    logging.getLogger(logger).error(message, *arguments, exc_info=ValueError(SECRET))

    [line] = written.lines
    assert (line["event"], line["logger"], line["level"], line["error"]) == ("library", logger, "error", "ValueError")
    assert line["message"] == said
    assert SECRET not in written.text


async def test_a_task_that_died_unseen_is_one_line_without_its_words(written: Written) -> None:
    loop = asyncio.get_running_loop()
    loop.call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": ValueError(SECRET), "task": SECRET}
    )
    [line] = written.lines
    assert line["message"] == "Task exception was never retrieved"
    assert SECRET not in written.text


async def test_what_a_sender_wrote_cannot_break_a_line(written: Written, process: Process, log: FakeLog) -> None:
    forged = b'click"}\n{"event":"lesson.completed","userId":"victim"}\x00\x1b[2J'
    log.add(command(authorization=b"Bearer x", headers=[("correlation-id", forged)]))
    await process.run()
    [line] = written.lines
    assert line["correlationId"] == forged.decode()


@given(
    marked=st.lists(
        st.sampled_from(["token", "value", "key", "header", "type", "reply"]), min_size=1, max_size=4, unique=True
    )
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_wherever_a_secret_stands_it_is_never_logged(
    written: Written, process: Process, log: FakeLog, marked: list[str]
) -> None:
    secret = SECRET.encode()
    log.add(
        record(
            value=b'{"lessonId":{"x":"%s"}}' % secret if "value" in marked else b'{"lessonId":"lesson-1"}',
            key=secret if "key" in marked else b"k",
            headers=[
                ("ce_type", secret if "type" in marked else b"lesson.complete.v1"),
                ("authorization", b"Bearer " + secret if "token" in marked else b"Bearer x"),
                ("x-" + SECRET if "header" in marked else "x", secret),
                ("reply-to", b"progress.replies." + secret if "reply" in marked else b"progress.replies.web"),
            ],
        )
    )
    await process.run()
    assert SECRET not in written.text
