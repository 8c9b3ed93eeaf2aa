"""From a record to a trusted message: size, type, token, payload, in this order, and the record's own time."""

from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.gateways import LessonComplete
from shared.contracts.operators import ProgressRecalculate
from shared.contracts.progress import LessonCompleted
from shared.contracts.rejections import CommandRejected
from shared.contracts.topics import COMMAND_BYTES, LESSON_COMPLETED, PROGRESS_COMMANDS, RECALCULATION_COMMANDS
from shared.errors import Permanent
from shared.identity import Identity
from shared.kafka.admission import Admission, Delivery
from shared.kafka.records import LOG_APPEND_TIME, Accepts, Received, Record
from tests.support.builders import Header, command, envelope, event, operator_command, record, token
from tests.support.fake_log import FakeLog
from tests.support.fake_verifier import FakeVerifier
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock
from tests.support.process import Process
from tests.unit.shared.kafka.conftest import Script, recorded

CREATE_TIME = 0
NOT_UTF8 = b"\xff"
LEARNER = Identity("learner-1", operator=False)
ACCEPTS = {
    LessonComplete.TYPE: Accepts(LessonComplete, token=True),
    ProgressRecalculate.TYPE: Accepts(ProgressRecalculate, token=True, operator=True),
    LessonCompleted.TYPE: Accepts(LessonCompleted),
}
RECALCULATE = ProgressRecalculate(enrollment_id="enrollment-1")


async def admit(*records: Record, now: int = NOW + 777) -> Sequence[Delivery]:
    return await Admission("progress", ACCEPTS, FakeVerifier(), FakeClock(now)).admit(records)


async def admitted(received: Record) -> Received[LessonComplete]:
    [delivery] = await admit(received)
    assert delivery.outcome is None
    assert delivery.received is not None
    return delivery.received  # type: ignore[return-value]


async def refused(received: Record) -> tuple[str, int | None, str | None]:
    """The outcome's name, the reply's code, and the class of the failure."""
    [delivery] = await admit(received)
    assert delivery.received is None
    outcome = delivery.outcome
    assert outcome is not None
    assert outcome.failure is None or isinstance(outcome.failure, Permanent)
    reply = outcome.reply
    assert reply is None or isinstance(reply, CommandRejected)
    failure = outcome.failure
    return outcome.name, reply.code if reply else None, type(failure).__name__ if failure else None


def with_authorization(*values: bytes | None, value: bytes | None = b'{"lessonId":"lesson-1"}') -> Record:
    return record(value=value, headers=[*envelope(), *(("authorization", v) for v in values)])


class TestTheOrderOfChecks:
    OVERSIZE = b"x" * (COMMAND_BYTES + 1)

    async def test_size_comes_before_type(self) -> None:
        assert await refused(record(value=self.OVERSIZE)) == ("dead_letter", None, "TooLarge")

    async def test_type_comes_before_token(self) -> None:
        assert await refused(record(headers=envelope("lesson.forget.v1"))) == ("dead_letter", None, "UnknownType")

    async def test_token_comes_before_payload(self) -> None:
        assert await refused(with_authorization(value=b"poison")) == ("not_authenticated", 401, None)

    async def test_payload_comes_last(self) -> None:
        assert await refused(command(value=b"poison")) == ("invalid", 400, "InvalidPayload")

    async def test_role_comes_before_payload(self) -> None:
        learner = operator_command(RECALCULATE, RECALCULATION_COMMANDS, value=b"poison")
        learner = replace(learner, headers=(*envelope(RECALCULATE.TYPE), ("authorization", token())))
        assert await refused(learner) == ("operator_required", 403, None)

    async def test_the_key_is_not_checked(self) -> None:
        assert (await admitted(command(key=NOT_UTF8))).identity == LEARNER


class TestTheToken:
    @pytest.mark.parametrize(
        "values",
        [(), (token(), token()), (None,), (None, token()), (NOT_UTF8,), (b"",), (b"Bearer nonsense",), (b"\x00" * 20,)],
        ids=["absent", "twice", "null", "null and good", "not UTF-8", "empty", "wrong", "NULs"],
    )
    async def test_absent_repeated_null_unreadable_or_wrong_is_not_authenticated(
        self, values: tuple[bytes | None, ...]
    ) -> None:
        assert await refused(with_authorization(*values)) == ("not_authenticated", 401, None)

    @pytest.mark.parametrize("value", [b"poison", None, b"{}", b"\xff"])
    async def test_a_401_with_an_unreadable_payload_is_no_dead_letter(self, value: bytes | None) -> None:
        [delivery] = await admit(with_authorization(value=value))
        assert delivery.outcome is not None
        assert delivery.outcome.failure is None
        assert delivery.outcome.reply == CommandRejected(code=401, reason="Not authenticated")

    async def test_a_401_names_the_lesson_where_it_can_be_read(self) -> None:
        [delivery] = await admit(with_authorization())
        assert delivery.outcome is not None
        assert delivery.outcome.reply == CommandRejected(code=401, reason="Not authenticated", lesson_id="lesson-1")

    @pytest.mark.parametrize(
        ("values", "refusal"),
        [((), "absent"), ((token(), token()), "repeated"), ((NOT_UTF8,), "unreadable"), ((b"Bearer x",), "signature")],
        ids=["absent", "twice", "not UTF-8", "wrong"],
    )
    async def test_why_stands_in_the_log_and_nowhere_else(
        self,
        process: Process,
        log: FakeLog,
        logged: list[MutableMapping[str, Any]],
        values: tuple[bytes | None, ...],
        refusal: str,
    ) -> None:
        log.create("progress.replies.web")
        refused = with_authorization(*values)
        log.add(replace(refused, headers=(*refused.headers, ("reply-to", b"progress.replies.web"))))
        await process.run()
        [line] = [line for line in logged if line["event"] == "lesson.complete.v1.not_authenticated"]
        assert line["refusal"] == refusal
        [reply] = log.read("progress.replies.web")
        assert orjson.loads(reply.value or b"") == {
            "code": 401, "reason": "Not authenticated", "lessonId": "lesson-1"
        }  # fmt: skip
        assert "Bearer" not in repr(logged)

    async def test_other_rejections_have_no_such_reason(self) -> None:
        learner = replace(
            operator_command(RECALCULATE, RECALCULATION_COMMANDS),
            headers=(*envelope(RECALCULATE.TYPE), ("authorization", token())),
        )
        [delivery] = await admit(learner)
        assert delivery.outcome is not None
        assert delivery.outcome.log_fields == {}

    async def test_who_sent_it_comes_from_the_token_alone(self) -> None:
        value = orjson.dumps({"lessonId": "lesson-1", "userId": "victim", "user_id": "victim", "sub": "victim"})
        headers = [("ce_subject", b"victim"), ("userId", b"victim")]
        received = await admitted(command(value=value, headers=headers, key=b"victim"))
        assert received.identity == LEARNER

    async def test_each_record_of_a_batch_has_its_own_sender(self) -> None:
        good = [command("lesson-1", f"learner-{n}") for n in range(3)]
        deliveries = await admit(good[0], with_authorization(), good[1], with_authorization(NOT_UTF8), good[2])
        senders = [d.received and d.received.identity and d.received.identity.user_id for d in deliveries]
        assert senders == ["learner-0", None, "learner-1", None, "learner-2"]

    async def test_events_of_other_services_need_none(self) -> None:
        [delivery] = await admit(event(recorded("lesson-1").events[0].message, LESSON_COMPLETED))
        assert delivery.received is not None
        assert delivery.received.identity is None

    async def test_an_unreadable_event_is_a_dead_letter_without_a_reply(self) -> None:
        poison = event(recorded("lesson-1").events[0].message, LESSON_COMPLETED, value=b"{}")
        assert await refused(poison) == ("dead_letter", None, "InvalidPayload")


class TestTheOperator:
    async def test_an_operator_s_command_needs_the_role(self) -> None:
        learner = replace(
            operator_command(RECALCULATE, RECALCULATION_COMMANDS),
            headers=(*envelope(RECALCULATE.TYPE), ("authorization", token())),
        )
        [delivery] = await admit(learner)
        assert delivery.outcome is not None
        assert delivery.outcome.reply == CommandRejected(code=403, reason="Operator role required")

    async def test_with_the_role_it_is_admitted(self) -> None:
        [delivery] = await admit(operator_command(RECALCULATE, RECALCULATION_COMMANDS))
        assert delivery.received is not None
        assert delivery.received.identity == Identity("operator-1", operator=True)

    async def test_without_a_token_it_is_not_authenticated_rather_than_forbidden(self) -> None:
        anonymous = replace(
            operator_command(RECALCULATE, RECALCULATION_COMMANDS), headers=tuple(envelope(RECALCULATE.TYPE))
        )
        assert await refused(anonymous) == ("not_authenticated", 401, None)

    async def test_an_operator_may_also_learn(self) -> None:
        received = await admitted(command(authorization=token("operator-1", operator=True)))
        assert received.identity == Identity("operator-1", operator=True)


class TestTheRecordsTime:
    async def test_the_broker_s_clock_is_trusted(self) -> None:
        assert (await admitted(command(timestamp=NOW - 5))).at == NOW - 5

    async def test_a_producer_s_clock_is_not(self) -> None:
        received = await admitted(command(timestamp=NOW - 5, timestamp_type=CREATE_TIME))
        assert received.at == NOW + 777

    @pytest.mark.parametrize("timestamp_type", [LOG_APPEND_TIME, CREATE_TIME])
    async def test_nobody_else_may_set_it_by_a_header(self, timestamp_type: int) -> None:
        forged = [("x-dead-letter-timestamp", b"1"), ("ce_time", b"1970-01-01T00:00:00Z")]
        received = await admitted(command(headers=forged, timestamp=NOW - 5, timestamp_type=timestamp_type))
        assert received.at == (NOW - 5 if timestamp_type else NOW + 777)

    @pytest.mark.parametrize("topic", ["recalculator.replays", "certificates.replays", "progress.deadletters"])
    async def test_another_service_s_replays_are_no_exception(self, topic: str) -> None:
        received = await admitted(command(topic=topic, headers=[("x-dead-letter-timestamp", b"1")]))
        assert received.at == NOW

    async def test_on_the_replays_the_dead_letter_s_time_is_the_record_s(self) -> None:
        received = await admitted(
            command(topic="progress.replays", headers=[("x-dead-letter-timestamp", str(NOW - 9).encode())])
        )
        assert received.at == NOW - 9

    async def test_the_last_of_several_times_counts(self) -> None:
        times: list[Header] = [("x-dead-letter-timestamp", str(NOW - n).encode()) for n in (9, 8, 7)]
        assert (await admitted(command(topic="progress.replays", headers=times))).at == NOW - 7

    @pytest.mark.parametrize("unreadable", [None, b"", b"-1", b"1e3", b"\xff", "٣".encode(), b"9" * 30, b" 1"])
    async def test_an_unreadable_time_is_now(self, unreadable: bytes | None) -> None:
        replayed = command(topic="progress.replays", headers=[("x-dead-letter-timestamp", unreadable)])
        assert (await admitted(replayed)).at == NOW + 777

    async def test_expiry_is_judged_against_it(
        self, process: Process, log: FakeLog, verifier: FakeVerifier, clock: FakeClock
    ) -> None:
        log.add(command(timestamp=NOW - 5), command(timestamp=NOW - 4, timestamp_type=CREATE_TIME))
        clock.move(1)
        await process.run()
        assert verifier.asked == [NOW - 5, NOW + 1]


class TestTheEnvelope:
    @pytest.mark.parametrize(
        "content_type",
        [b"application/json", b"application/json; charset=utf-8", b"Application/JSON", b" application/json ;x=y"],
    )
    async def test_json_by_any_of_its_names_is_read(self, content_type: bytes) -> None:
        await admitted(
            record(value=b'{"lessonId":"a"}', headers=[*envelope(authorization=token(), content_type=content_type)])
        )

    async def test_type_and_authorization_are_all_it_needs(self) -> None:
        bare = [("ce_type", b"lesson.complete.v1"), ("authorization", token())]
        received = await admitted(record(value=b'{"lessonId":"a"}', headers=bare))
        assert received.envelope.id is None

    @pytest.mark.parametrize("name", ["ce_id", "ce_correlationid", "ce_traceparent", "reply-to", "correlation-id"])
    @pytest.mark.parametrize("values", [(None,), (NOT_UTF8,), (b"a", b"b"), (b"",)], ids=repr)
    async def test_what_is_only_recommended_is_as_if_absent_when_unreadable(
        self, name: str, values: tuple[bytes | None, ...]
    ) -> None:
        bare: list[Header] = [("ce_type", b"lesson.complete.v1"), ("authorization", token())]
        received = await admitted(
            record(value=b'{"lessonId":"a"}', headers=[*bare, *((name, value) for value in values)])
        )
        read = received.envelope
        assert (read.id, read.correlation, read.traceparent, read.reply_to, read.correlation_id) == (None,) * 5


HEADER_VALUES = st.none() | st.binary(max_size=40) | st.just(token()) | st.just(b"lesson.complete.v1")
HEADER_NAMES = st.text(max_size=20) | st.sampled_from(
    ["ce_type", "authorization", "content-type", "reply-to", "correlation-id", "ce_id", "x-dead-letter-timestamp"]
)


@given(
    headers=st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=8),
    value=st.none() | st.binary(max_size=60) | st.just(b'{"lessonId":"lesson-1"}'),
    topic=st.sampled_from([PROGRESS_COMMANDS, "progress.replays"]),
    timestamp=st.integers(-1, 2**62),
)
async def test_whatever_a_record_holds_it_is_admitted_or_has_its_outcome(
    headers: list[Header], value: bytes | None, topic: str, timestamp: int
) -> None:
    [delivery] = await admit(record(topic, value=value, headers=headers, timestamp=timestamp))
    assert (delivery.received is None) != (delivery.outcome is None)
    if delivery.outcome is not None and delivery.outcome.failure is not None:
        assert isinstance(delivery.outcome.failure, Permanent)


async def test_a_good_token_with_a_bad_payload_is_answered_and_buried(
    process: Process, log: FakeLog, script: Script
) -> None:
    log.create("progress.replies.web")
    log.add(command(value=b"poison", headers=[("reply-to", b"progress.replies.web")]))

    await process.run()

    [reply] = log.read("progress.replies.web")
    assert orjson.loads(reply.value or b"") == {"code": 400, "reason": "Invalid command"}
    assert len(log.read("progress.deadletters")) == 1
    assert process.names == ["invalid"]
    assert log.committed == {TopicPartition(PROGRESS_COMMANDS, 0): 1}


@pytest.mark.parametrize(
    "headers",
    [
        envelope("lesson.forget.v1", authorization=token()),
        envelope("lesson.complete.v2", authorization=token()),
        envelope(authorization=token(), content_type="application/cloudevents+json"),
    ],
    ids=["unknown type", "unknown major version", "structured mode"],
)
async def test_what_cannot_be_understood_is_buried_unanswered(
    process: Process, log: FakeLog, headers: list[Header]
) -> None:
    log.create("progress.replies.web")
    log.add(record(headers=[*headers, ("reply-to", b"progress.replies.web")]))

    await process.run()

    assert log.read("progress.replies.web") == []
    assert len(log.read("progress.deadletters")) == 1
