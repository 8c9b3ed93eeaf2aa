"""Topics as code: what differs from a card, what cannot be mended, and with what a service refuses to start."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from shared.contracts.topics import EVENT_BYTES, SERVICES, Topic, consumed_by, published_by
from shared.contracts.topics import TOPICS as CARDS
from shared.errors import Fatal
from shared.kafka.provisioning import Drift, check_topics, starting
from shared.kafka.provisioning.differences import BY_THE_CARDS, Asked, Found, differences, min_in_sync, usual_replicas
from shared.settings import KafkaSettings

COMMANDS = CARDS["progress.commands"]
STARTED_WITH = {
    "progress": {"progress.commands", "progress.replays", "lesson.completed", "progress.deadletters"},
    "recalculator": {
        "lesson.completed",
        "recalculation.commands",
        "recalculator.replays",
        "enrollment.progressed",
        "course.completed",
        "recalculator.deadletters",
    },
    "certificates": {
        "course.completed",
        "certificate.commands",
        "certificates.replays",
        "certificate.issued",
        "notification.created",
        "certificates.deadletters",
    },
}


def found(topic: Topic, *, partitions: int | None = None, replicas: int = 1, **config: str) -> Found:
    """A topic as its card says, but for these."""
    said = topic.configuration(min_insync_replicas=min_in_sync(replicas))
    said |= {name.replace("_", "."): value for name, value in config.items()}
    return Found(partitions or topic.partitions, replicas, said, said)


def compared(there: Mapping[str, Found], asked: Asked = BY_THE_CARDS, brokers: int = 1) -> list[Drift]:
    return list(differences([COMMANDS], there, asked=asked, brokers=brokers))


class TestDifferences:
    def test_a_topic_as_its_card_says_has_none(self) -> None:
        assert compared({COMMANDS.name: found(COMMANDS)}) == []
        assert compared({COMMANDS.name: found(COMMANDS, replicas=3)}, Asked(replicas=3)) == []

    def test_a_topic_that_is_not_there_is_missing_and_nothing_else(self) -> None:
        assert [d.sentence for d in compared({})] == ["progress.commands: is missing"]

    def test_every_setting_of_the_card_is_compared(self) -> None:
        there = found(COMMANDS, retention_ms="1", cleanup_policy="compact")
        assert [d.sentence for d in compared({COMMANDS.name: there})] == [
            "progress.commands: cleanup.policy is compact, the card says delete",
            "progress.commands: retention.ms is 1, the card says 604800000",
        ]

    def test_all_replicas_but_one_must_have_a_record(self) -> None:
        there = found(COMMANDS, replicas=3, min_insync_replicas="1")
        assert [(d.expected, d.found) for d in compared({COMMANDS.name: there})] == [("2", "1")]
        assert [min_in_sync(n) for n in (1, 2, 3, 5)] == [1, 1, 2, 4]

    def test_missing_partitions_can_be_added_and_none_is_ever_taken_away(self) -> None:
        exactly = Asked(partitions=frozenset({COMMANDS.name}))
        [few] = compared({COMMANDS.name: found(COMMANDS, partitions=5)})
        [many] = compared({COMMANDS.name: found(COMMANDS, partitions=7)}, exactly)
        assert (few.irreparable, few.kept) == (None, False)
        assert many.irreparable is not None
        assert "none can be taken away" in many.irreparable

    def test_more_partitions_than_the_card_says_are_told_and_stay(self) -> None:
        [more] = compared({COMMANDS.name: found(COMMANDS, partitions=12)})
        assert (more.kept, more.irreparable) == (True, None)
        assert more.sentence == "progress.commands: partitions is 12, more than the 6 of the card; it stays so"

    def test_replicas_are_those_that_were_asked_for_and_moved_by_the_brokers_own_tool(self) -> None:
        [drift] = compared({COMMANDS.name: found(COMMANDS, replicas=1)}, Asked(replicas=3))
        assert drift.irreparable is not None
        assert "kafka-reassign-partitions.sh" in drift.irreparable

    @pytest.mark.parametrize(
        ("brokers", "replicas", "differs"), [(1, 1, 0), (2, 1, 1), (3, 1, 1), (3, 3, 0), (5, 3, 0)]
    )
    def test_where_there_are_brokers_a_topic_has_three_replicas(
        self, brokers: int, replicas: int, differs: int
    ) -> None:
        there = {COMMANDS.name: found(COMMANDS, replicas=replicas)}
        assert len(compared(there, brokers=brokers)) == differs
        assert compared(there, Asked(replicas=replicas), brokers=brokers) == []

    def test_a_broker_that_is_away_makes_no_topic_of_fewer_replicas(self) -> None:
        there = {COMMANDS.name: found(COMMANDS, replicas=3)}
        assert usual_replicas(there, brokers=2) == 3
        assert compared(there, brokers=2) == []


async def check(
    monkeypatch: pytest.MonkeyPatch, *drifts: Drift, service: str = "progress", required: bool = True
) -> set[str]:
    """Check against a broker whose topics differ so; answers which topics were looked at."""
    looked_at: set[str] = set()

    async def drift(_: KafkaSettings, *, topics: list[Topic]) -> list[Drift]:
        looked_at.update(topic.name for topic in topics)
        return list(drifts)

    monkeypatch.setattr(starting, "drift", drift)
    monkeypatch.setattr(starting, "_HEARSAY_SECONDS", 0)
    await check_topics(KafkaSettings(require_log_append_time=required), service)
    return looked_at


def missing(topic: str) -> Drift:
    return Drift(topic, "exists", "yes", "no")


def create_time(topic: str) -> Drift:
    return Drift(topic, "message.timestamp.type", "LogAppendTime", "CreateTime")


class TestStarting:
    @pytest.mark.parametrize("service", SERVICES)
    async def test_every_topic_a_service_reads_or_cannot_work_without_is_looked_at(
        self, monkeypatch: pytest.MonkeyPatch, service: str
    ) -> None:
        assert await check(monkeypatch, service=service) == STARTED_WITH[service]

    @pytest.mark.parametrize("topic", [*consumed_by("progress"), *published_by("progress")])
    async def test_a_missing_topic_is_said_with_the_command_that_makes_it(
        self, monkeypatch: pytest.MonkeyPatch, topic: str
    ) -> None:
        with pytest.raises(Fatal, match=f"topic {topic} is missing; run `lesson-progress topics apply`"):
            await check(monkeypatch, missing(topic))

    async def test_a_topic_that_a_broker_has_not_heard_of_yet_is_looked_for_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = [[missing("lesson.completed")], []]

        async def drift(*_: object, **__: object) -> list[Drift]:
            return answers.pop(0)

        monkeypatch.setattr(starting, "drift", drift)
        monkeypatch.setattr(starting, "_HEARSAY_SECONDS", 0)
        await check_topics(KafkaSettings(), "progress")
        assert answers == []

    async def test_a_command_topic_without_the_broker_s_clock_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(Fatal, match=r"progress\.commands has message\.timestamp\.type=CreateTime"):
            await check(monkeypatch, create_time("progress.commands"))

    async def test_commands_are_known_by_their_card_and_not_by_their_size(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        larger = replace(COMMANDS, max_bytes=EVENT_BYTES)
        monkeypatch.setitem(CARDS, "progress.commands", larger)
        with pytest.raises(Fatal, match=r"progress\.commands has message\.timestamp\.type=CreateTime"):
            await check(monkeypatch, create_time("progress.commands"))

    def test_the_cards_that_carry_commands_say_so(self) -> None:
        commands = {topic.name for topic in CARDS.values() if topic.commands}
        assert commands == {"progress.commands", "recalculation.commands", "certificate.commands"}

    @pytest.mark.parametrize(
        ("setting", "expected", "there"),
        [
            ("partitions", "6", "5"),
            ("max.message.bytes", "1048576", "1000"),
            ("cleanup.policy", "delete", "compact"),
            ("cleanup.policy", "delete", "compact,delete"),
            ("unclean.leader.election.enable", "false", "true"),
        ],
    )
    async def test_a_topic_that_would_lose_or_refuse_records_is_refused_with_what_to_do(
        self, monkeypatch: pytest.MonkeyPatch, setting: str, expected: str, there: str
    ) -> None:
        with pytest.raises(Fatal, match=f"lesson.completed has {setting}={there}, its card says .*topics apply"):
            await check(monkeypatch, Drift("lesson.completed", setting, expected, there))

    async def test_a_development_broker_may_do_without_the_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        await check(monkeypatch, create_time("progress.commands"), required=False)

    @pytest.mark.parametrize("topic", ["progress.replays", "lesson.completed"])
    async def test_what_is_no_command_needs_no_clock(self, monkeypatch: pytest.MonkeyPatch, topic: str) -> None:
        await check(monkeypatch, create_time(topic))

    @pytest.mark.parametrize(
        ("setting", "expected", "there"),
        [("retention.ms", "1", "2"), ("partitions", "6", "12"), ("max.message.bytes", "10", "20")],
    )
    async def test_what_is_the_operator_s_to_choose_stops_nobody_and_is_logged(
        self, monkeypatch: pytest.MonkeyPatch, setting: str, expected: str, there: str
    ) -> None:
        with capture_logs() as lines:
            await check(monkeypatch, Drift("progress.commands", setting, expected, there))
        assert [(line["event"], line["setting"], line["found"]) for line in lines] == [
            ("topic.differs", setting, there)
        ]

    @pytest.mark.parametrize("setting", ["retention.ms", "cleanup.policy", "max.message.bytes"])
    async def test_what_a_broker_does_not_tell_is_not_held_against_it(
        self, monkeypatch: pytest.MonkeyPatch, setting: str
    ) -> None:
        with capture_logs() as lines:
            await check(monkeypatch, Drift("progress.commands", setting, "1", "unknown"))
        assert lines == []
