"""The topic cards say what was agreed: the agreement is written out here once more, on its own."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.topics import (
    SERVICES,
    TOPICS,
    Topic,
    consumed_by,
    dead_letters_of,
    is_reply_topic,
    replays_of,
    reply_topic,
)

KIB, MIB = 1024, 1024 * 1024
HOUR, DAY = 3_600_000, 86_400_000


class Agreed(NamedTuple):
    """One row of the agreement."""

    key: str
    types: set[str]
    producers: set[str]
    consumers: set[str]
    max_bytes: int


REPLIES = {"lesson.marked.v1", "progress.recalculated.v1", "certificate.requested.v1", "command.rejected.v1"}
FLOW = {
    "progress.commands": Agreed("userId", {"lesson.complete.v1"}, {"gateways"}, {"progress"}, 256 * KIB),
    "progress.replies": Agreed("the command's key", REPLIES, set(SERVICES), {"gateways", "operators"}, MIB),
    "lesson.completed": Agreed("enrollmentId", {"lesson.completed.v1"}, {"progress"}, {"recalculator"}, MIB),
    "recalculation.commands": Agreed(
        "enrollmentId or courseId",
        {"progress.recalculate.v1", "course.changed.v1"},
        {"operators", "course platform"},
        {"recalculator"},
        256 * KIB,
    ),
    "enrollment.progressed": Agreed(
        "enrollmentId", {"enrollment.progressed.v1"}, {"recalculator"}, {"live screens"}, MIB
    ),
    "course.completed": Agreed("enrollmentId", {"course.completed.v1"}, {"recalculator"}, {"certificates"}, MIB),
    "certificate.commands": Agreed(
        "enrollmentId",
        {"certificate.generate.v1", "certificate.revoke.v1", "certificate.restore.v1"},
        {"operators"},
        {"certificates"},
        256 * KIB,
    ),
    "certificate.issued": Agreed(
        "enrollmentId", {"certificate.issued.v1", "certificate.revoked.v1"}, {"certificates"}, {"anyone"}, MIB
    ),
    "notification.created": Agreed("userId", {"notification.created.v1"}, {"certificates"}, {"live screens"}, MIB),
}
READ_BY = {
    "progress": {"lesson.complete.v1"},
    "recalculator": {"lesson.completed.v1", "progress.recalculate.v1", "course.changed.v1"},
    "certificates": {
        "course.completed.v1",
        "certificate.generate.v1",
        "certificate.revoke.v1",
        "certificate.restore.v1",
    },
}


def test_there_are_three_services() -> None:
    assert set(SERVICES) == set(READ_BY)


def test_there_are_these_topics_and_no_others() -> None:
    of_services = {f"{service}.{kind}" for service in READ_BY for kind in ("deadletters", "replays")}
    assert set(TOPICS) == set(FLOW) | of_services
    assert all(name == topic.name for name, topic in TOPICS.items())


@pytest.mark.parametrize(("name", "agreed"), FLOW.items(), ids=FLOW.keys())
def test_a_topic_is_as_agreed(name: str, agreed: Agreed) -> None:
    topic = TOPICS[name]
    found = Agreed(topic.key, set(topic.types), set(topic.producers), set(topic.consumers), topic.max_bytes)
    assert found == agreed


@pytest.mark.parametrize("service", READ_BY)
def test_dead_letters_are_the_operators_for_fourteen_days(service: str) -> None:
    letters = TOPICS[f"{service}.deadletters"]
    assert letters == TOPICS[dead_letters_of(service)]
    assert (letters.producers, letters.consumers) == ((service,), ("operators",))
    assert (letters.retention_ms, letters.max_bytes, letters.key) == (14 * DAY, 4 * MIB, "as received")
    assert set(letters.types) == READ_BY[service]


@pytest.mark.parametrize("service", READ_BY)
def test_replays_are_that_service_s_alone(service: str) -> None:
    replays = TOPICS[f"{service}.replays"]
    assert replays == TOPICS[replays_of(service)]
    assert (replays.producers, replays.consumers) == (("operators",), (service,))
    assert (replays.max_bytes, replays.key) == (4 * MIB, "as received")
    assert set(replays.types) == READ_BY[service]


@pytest.mark.parametrize("service", READ_BY)
def test_a_service_reads_what_is_meant_for_it_and_its_replays(service: str) -> None:
    read = consumed_by(service)
    assert set(read) == {name for name, topic in FLOW.items() if service in topic.consumers} | {f"{service}.replays"}
    assert len(read) == len(set(read))


def test_no_service_reads_what_it_writes() -> None:
    for topic in TOPICS.values():
        assert not set(topic.producers) & set(topic.consumers), topic.name


@pytest.mark.parametrize("topic", TOPICS.values(), ids=TOPICS.keys())
def test_every_topic_keeps_what_reliability_needs(topic: Topic) -> None:
    configuration = topic.configuration(min_insync_replicas=2)
    assert configuration == {
        "message.timestamp.type": "LogAppendTime",
        "unclean.leader.election.enable": "false",
        "cleanup.policy": "delete",
        "compression.type": "uncompressed",
        "max.message.bytes": str(topic.max_bytes),
        "retention.ms": str(topic.retention_ms),
        "min.insync.replicas": "2",
    }
    assert topic.retention_ms >= HOUR
    assert topic.partitions >= 1
    assert topic.purpose.endswith(".")


def test_every_type_ends_in_its_major_version_and_every_event_has_one_topic() -> None:
    events = [t for name, agreed in FLOW.items() if name != "progress.replies" for t in agreed.types]
    assert len(events) == len(set(events))
    for topic in TOPICS.values():
        assert all(t.rpartition(".v")[2].isdigit() for t in topic.types)


class TestReplyTopics:
    @pytest.mark.parametrize("gateway", ["web", "mobile-2", "a.b_c", "X"])
    def test_a_gateway_s_own_is_one_partition_for_one_hour(self, gateway: str) -> None:
        topic = reply_topic(gateway)
        assert topic.name == f"progress.replies.{gateway}"
        assert (topic.partitions, topic.retention_ms, topic.max_bytes) == (1, HOUR, MIB)
        assert set(topic.types) == REPLIES
        assert topic.consumers == (gateway,)
        assert set(topic.producers) == set(READ_BY)

    @pytest.mark.parametrize("gateway", ["", ".", "a..b", ".a", "a.", "a b", "a/b", "é", "a\n", "*", "a" * 184])
    def test_what_gives_no_allowed_name_is_refused(self, gateway: str) -> None:
        with pytest.raises(ValueError, match="is no name for a reply topic"):
            reply_topic(gateway)

    def test_names_are_at_most_two_hundred_characters(self) -> None:
        longest = "progress.replies." + "a" * (200 - len("progress.replies."))
        assert is_reply_topic(longest)
        assert not is_reply_topic(longest + "a")

    @given(
        st.lists(st.text("aZ09_-", min_size=1, max_size=60), max_size=5), st.sampled_from(["", ".", "..a", "\n", "é"])
    )
    def test_parts_of_letters_digits_and_dashes_are_allowed_and_nothing_else(
        self, parts: list[str], spoilt: str
    ) -> None:
        name = ".".join(["progress.replies", *parts])
        assert is_reply_topic(name) == (len(name) <= 200)
        assert not is_reply_topic(name + spoilt) or not spoilt

    def test_no_other_topic_is_one(self) -> None:
        assert {name for name in TOPICS if is_reply_topic(name)} == {"progress.replies"}
