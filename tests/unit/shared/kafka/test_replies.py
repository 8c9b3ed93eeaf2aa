"""Replies: best effort, to allowed and existing topics only, and nothing ever waits for them."""

import asyncio
from collections.abc import Callable, MutableMapping
from itertools import pairwise
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.ids import deterministic_id
from shared.contracts.rejections import CommandRejected
from shared.contracts.topics import DEAD_LETTER_BYTES, PROGRESS_COMMANDS, PROGRESS_REPLIES, is_reply_topic
from shared.errors import Transient
from shared.kafka import replies
from shared.kafka.records import Outcome, Record
from tests.support.builders import Header, command
from tests.support.eventually import eventually
from tests.support.fake_log import FakeLog
from tests.support.process import Process
from tests.unit.shared.kafka.conftest import Script

P0 = TopicPartition(PROGRESS_COMMANDS, 0)
WEB = "progress.replies.web"
HEARD = CommandRejected(code=404, reason="Lesson not found", lesson_id="lesson-1")
ASK = ("reply-to", WEB.encode())


@pytest.fixture(autouse=True)
def _answering(script: Script, log: FakeLog) -> None:
    log.create(WEB)
    script.outcomes["lesson-1"] = Outcome("lesson_not_found", reply=HEARD)
    script.outcomes["lesson-2"] = Outcome("lesson_not_found", reply=HEARD)


def asking(*headers: Header, lesson: str = "lesson-1", **changed: Any) -> Record:
    return command(lesson, headers=headers or [ASK], **changed)


def dropped(process: Process, reason: str) -> float:
    return process.metric("lesson_progress_replies_dropped_total", reason=reason)


async def test_a_reply_goes_to_the_topic_its_sender_named_under_the_command_s_key(
    process: Process, log: FakeLog
) -> None:
    log.add(asking())

    await process.run()

    [reply] = log.read(WEB)
    assert (reply.key, reply.value) == (
        b"learner-1",
        b'{"code":404,"reason":"Lesson not found","lessonId":"lesson-1"}',
    )


async def test_a_reply_says_what_it_answers(process: Process, log: FakeLog) -> None:
    log.add(asking(ASK, ("correlation-id", b"click-7"), ("ce_traceparent", b"00-trace")))

    await process.run()

    headers = dict(log.read(WEB)[0].headers)
    assert headers["ce_id"] == deterministic_id("command.rejected.v1", "learner-1/lesson-1").encode()
    assert headers["ce_type"] == b"command.rejected.v1"
    assert headers["ce_source"] == b"/services/progress"
    assert headers["content-type"] == b"application/json"
    assert headers["ce_causationid"] == b"learner-1/lesson-1"
    assert headers["ce_correlationid"] == headers["correlation-id"] == b"click-7"
    assert headers["ce_traceparent"] == b"00-trace"


async def test_a_command_without_reply_to_is_not_answered(process: Process, log: FakeLog) -> None:
    log.add(command("lesson-1"))

    await process.run()

    assert [log.read(topic) for topic in log.topics if is_reply_topic(topic)] == [[], []]
    assert process.names == ["lesson_not_found"]


@pytest.mark.parametrize(
    "reply_to",
    [
        [("reply-to", b"\xff")],
        [("reply-to", None)],
        [("reply-to", b"")],
        [ASK, ASK],
        [ASK, ("reply-to", None)],
        [("Reply-To", WEB.encode())],
        [("reply-to", b"r" * 2000)],
    ],
    ids=["not UTF-8", "null", "empty", "twice", "twice, once null", "upper case", "endless"],
)
async def test_an_unreadable_reply_to_is_as_if_absent(process: Process, log: FakeLog, reply_to: list[Header]) -> None:
    log.add(asking(*reply_to))

    await process.run()

    assert log.read(WEB) == []
    assert log.committed == {P0: 1}
    assert sum(dropped(process, reason) for reason in ("refused", "absent", "timed_out")) == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"x" * 256, b"x" * 256),
        ("ключ-🔑".encode(), "ключ-🔑".encode()),
        (b" spaces kept\t", b" spaces kept\t"),
        (b"x" * 257, b"learner-1/lesson-1"),
        (b"\xff", b"learner-1/lesson-1"),
        (b"", b"learner-1/lesson-1"),
        (None, b"learner-1/lesson-1"),
    ],
)
async def test_a_correlation_id_comes_back_byte_for_byte_up_to_256_bytes_else_the_command_s_id(
    process: Process, log: FakeLog, given: bytes | None, expected: bytes
) -> None:
    log.add(asking(ASK, ("correlation-id", given)))

    await process.run()

    [reply] = log.read(WEB)
    assert [value for name, value in reply.headers if name == "correlation-id"] == [expected]


async def test_a_correlation_id_given_twice_is_as_if_absent(process: Process, log: FakeLog) -> None:
    log.add(asking(ASK, ("correlation-id", b"a"), ("correlation-id", b"b")))

    await process.run()

    assert dict(log.read(WEB)[0].headers)["correlation-id"] == b"learner-1/lesson-1"


async def test_a_record_that_waits_is_not_answered_yet(process: Process, log: FakeLog, script: Script) -> None:
    script.outcomes["lesson-1"] = Outcome("lesson_not_found", reply=HEARD, failure=Transient("away"))
    log.add(asking())

    await process.run(batches=10)

    assert log.read(WEB) == []


async def test_two_copies_of_a_command_are_answered_with_one_id(process: Process, log: FakeLog) -> None:
    log.add(asking(), asking())

    await process.run()

    assert len({dict(reply.headers)["ce_id"] for reply in log.read(WEB)}) == 1


@pytest.mark.parametrize(
    "topic",
    ["lesson.completed", "progress.commands", "progress.deadletters", "progress.repliesX", "progress.replies.",
     "progress.replies..a", "progress.replies.a b", "progress.replies.a\n", "progress.replies." + "a" * 200, "X"],
)  # fmt: skip
async def test_a_reply_to_any_other_topic_is_refused_and_counted(process: Process, log: FakeLog, topic: str) -> None:
    log.add(asking(("reply-to", topic.encode())))
    if topic not in log.topics:
        log.create(topic)
    before = len(log.read(topic))

    await process.run()

    assert len(log.read(topic)) == before
    assert dropped(process, "refused") == 1
    assert log.committed == {P0: 1}


async def test_a_reply_to_a_topic_that_does_not_exist_is_dropped_and_counted(process: Process, log: FakeLog) -> None:
    log.add(asking(("reply-to", b"progress.replies.nobody")), asking(lesson="lesson-2"))

    await process.run()

    assert dropped(process, "absent") == 1
    assert len(log.read(WEB)) == 1
    assert "progress.replies.nobody" not in log.topics


async def test_replies_that_are_dropped_together_are_one_line_and_each_is_counted(
    process: Process, log: FakeLog, logged: list[MutableMapping[str, Any]]
) -> None:
    log.add(asking(), asking(), asking())
    log.delete(WEB)

    await process.run()

    told = [(line["reason"], line["replies"]) for line in logged if line["event"] == "reply.dropped"]
    assert told == [("absent", 3)]
    assert dropped(process, "absent") == 3


@pytest.fixture
def asked(process: Process, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the broker was asked for its topics; it may be asked every 50 ms."""
    assert replies.TOPICS_SECONDS == 1.0
    monkeypatch.setattr(replies, "TOPICS_SECONDS", 0.05)
    questions: list[float] = []
    existing = process.replier._existing_topics

    async def counting() -> set[str]:
        questions.append(asyncio.get_running_loop().time())
        return await existing()

    process.replier._existing_topics = counting
    return questions


async def test_absent_topics_cost_the_broker_no_more_than_one_question_a_second(
    process: Process, log: FakeLog, asked: list[float]
) -> None:
    for number in range(50):
        log.add(asking(("reply-to", f"progress.replies.n{number}".encode())))
        await process.batch()
    await process.replied()

    assert dropped(process, "absent") == 50
    assert all(later - earlier >= 0.04 for earlier, later in pairwise(asked))


async def test_a_topic_made_just_after_the_question_is_answered_after_the_next_one(
    process: Process, log: FakeLog, asked: list[float]
) -> None:
    log.add(asking())
    await process.run()
    log.create("progress.replies.new")

    log.add(asking(("reply-to", b"progress.replies.new")))
    await process.run()

    assert len(log.read("progress.replies.new")) == 1
    assert len(asked) == 2


async def test_replies_to_known_topics_do_not_wait_for_the_answer_about_an_unknown_one(
    process: Process, log: FakeLog, asked: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    log.add(asking())
    await process.run()
    monkeypatch.setattr(replies, "TOPICS_SECONDS", 3600)

    log.add(asking(("reply-to", b"progress.replies.nobody")), asking(lesson="lesson-2"))
    await process.batch()
    await eventually(lambda: len(log.read(WEB)) == 2)

    assert dropped(process, "absent") == 0
    await process.replier.close(0)


async def test_a_reply_that_nobody_acknowledges_holds_nothing_and_is_dropped(
    process: Process, log: FakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert replies.REPLY_SECONDS == 5.0
    monkeypatch.setattr(replies, "REPLY_SECONDS", 0.02)
    process.producer.silent.add(WEB)
    log.add(asking(), asking(lesson="lesson-2"))

    await process.batch()
    await process.offsets.flush(process.consumer)
    assert (log.committed, process.names) == ({P0: 2}, ["lesson_not_found"] * 2)
    assert dropped(process, "timed_out") == 0

    await process.replied()
    assert dropped(process, "timed_out") == 2


async def test_only_the_reply_that_nobody_acknowledges_is_dropped(
    process: Process, log: FakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "REPLY_SECONDS", 0.02)
    process.producer.silent.add(WEB)
    log.add(asking(), asking(("reply-to", PROGRESS_REPLIES.encode()), lesson="lesson-2"))

    await process.run()

    assert len(log.read(PROGRESS_REPLIES)) == 1
    assert dropped(process, "timed_out") == 1


async def test_a_deleted_topic_silences_no_other_gateway(
    process: Process, log: FakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "REPLY_SECONDS", 0.1)
    shop = "progress.replies.shop"
    log.create(shop)
    log.add(asking(), asking(("reply-to", shop.encode()), lesson="lesson-2"))
    await process.run()
    partitions_for = process.producer.partitions_for

    async def waiting_for_it_to_come_back(topic: str) -> set[int]:
        return await (asyncio.Event().wait() if topic not in log.topics else partitions_for(topic))  # type: ignore[return-value]

    monkeypatch.setattr(process.producer, "partitions_for", waiting_for_it_to_come_back)
    log.delete(WEB)

    log.add(asking(), asking(("reply-to", shop.encode()), lesson="lesson-2"))
    await process.run()
    assert len(log.read(shop)) == 2
    assert dropped(process, "timed_out") == 1


async def test_a_topic_that_did_not_answer_is_asked_for_again(
    process: Process, log: FakeLog, asked: list[float]
) -> None:
    log.add(asking())
    await process.run()
    log.delete(WEB)

    log.add(asking())
    await process.run()
    assert (len(asked), dropped(process, "timed_out"), dropped(process, "absent")) == (1, 1, 0)

    log.add(asking())
    await process.run()
    assert (len(asked), dropped(process, "timed_out"), dropped(process, "absent")) == (2, 1, 1)


async def test_a_reply_that_is_too_large_says_nothing_about_its_topic(
    process: Process, log: FakeLog, asked: list[float]
) -> None:
    log.add(asking(key=b"k" * (DEAD_LETTER_BYTES + 1)))
    await process.run()
    log.add(asking())
    await process.run()
    assert (len(asked), len(log.read(WEB))) == (1, 1)


def failing(error: Exception) -> Callable[[str, bytes | None], Exception | None]:
    return lambda topic, _: error if topic == WEB else None


@pytest.mark.parametrize("error", [KafkaTimeoutError(), KafkaError(), MessageSizeTooLargeError()], ids=repr)
async def test_a_reply_the_broker_refuses_is_dropped_and_counted(
    process: Process, log: FakeLog, error: Exception
) -> None:
    process.producer.refuse = failing(error)
    log.add(asking())

    await process.run()

    assert dropped(process, "timed_out") == 1
    assert log.committed == {P0: 1}


async def test_a_reply_that_cannot_even_be_sent_takes_no_other_with_it(process: Process, log: FakeLog) -> None:
    # Its key is larger than any message may be; a compressed batch can hold it.
    log.add(asking(key=b"k" * (DEAD_LETTER_BYTES + 1)), asking(lesson="lesson-2"))

    await process.run()

    assert len(log.read(WEB)) == 1
    assert dropped(process, "timed_out") == 1


async def test_replies_are_dropped_and_counted_while_the_broker_cannot_name_its_topics(
    process: Process, log: FakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> set[str]:
        raise Transient("the broker does not answer")

    process.replier._existing_topics = away
    lost: list[dict[str, object]] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_exception_handler", lost.append, raising=False)
    log.add(asking(), asking(lesson="lesson-2"))

    await process.run()

    assert dropped(process, "timed_out") == 2
    assert all(task.exception() is None for task in process.replier._tasks)
    assert lost == []


async def test_ten_thousand_replies_on_their_way_are_enough(process: Process, log: FakeLog) -> None:
    process.replier._pending = 10_000
    log.add(asking())

    await process.run()

    assert (log.read(WEB), dropped(process, "timed_out")) == ([], 1)


async def test_closing_drops_and_counts_replies_that_do_not_arrive(
    process: Process, log: FakeLog, logged: list[MutableMapping[str, Any]]
) -> None:
    process.producer.silent.add(WEB)
    log.add(asking())
    await process.batch()

    await process.replier.close(0.01)

    assert process.replier._tasks == set()
    assert dropped(process, "timed_out") == 1
    assert [line["reason"] for line in logged if line["event"] == "reply.dropped"] == ["timed_out"]


async def test_closing_drops_even_what_has_not_begun(process: Process, log: FakeLog) -> None:
    process.producer.silent.add(WEB)
    log.add(asking())
    await process.batch()

    await process.replier.close(0)

    assert dropped(process, "timed_out") == 1
    assert process.replier._pending == 0


@given(st.text())
def test_no_name_leads_outside_the_reply_topics(name: str) -> None:
    assert not is_reply_topic(name) or name.startswith("progress.replies")


@pytest.mark.parametrize("name", ["progress.replies", "progress.replies.web", "progress.replies.a-B_9.c"])
def test_reply_topics_are_allowed(name: str) -> None:
    assert is_reply_topic(name)
