"""What a service asks of its topics before it begins."""

from dataclasses import replace

import pytest

from shared.contracts.topics import EVENT_BYTES, Topic, consumed_by
from shared.contracts.topics import TOPICS as CARDS
from shared.errors import Fatal
from shared.kafka import provisioning
from shared.kafka.provisioning import Drift, check_consumed

TOPICS = consumed_by("progress")


async def check(monkeypatch: pytest.MonkeyPatch, *found: Drift, required: bool = True) -> list[str]:
    """Check against a broker whose topics differ so; answers which topics were looked at."""
    looked_at: list[str] = []

    async def drift(_: str, *, topics: list[Topic]) -> list[Drift]:
        looked_at.extend(topic.name for topic in topics)
        return list(found)

    monkeypatch.setattr(provisioning, "drift", drift)
    await check_consumed("broker:9092", TOPICS, require_log_append_time=required)
    return looked_at


def create_time(topic: str) -> Drift:
    return Drift(topic, "message.timestamp.type", "LogAppendTime", "CreateTime")


async def test_every_topic_it_reads_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await check(monkeypatch) == ["progress.commands", "progress.replays"]


@pytest.mark.parametrize("topic", TOPICS)
async def test_a_missing_topic_is_said_with_the_command_that_makes_it(
    monkeypatch: pytest.MonkeyPatch, topic: str
) -> None:
    with pytest.raises(Fatal, match=f"topic {topic} is missing; run `lesson-progress topics create`"):
        await check(monkeypatch, Drift(topic, "exists", "yes", "no"))


async def test_a_command_topic_without_the_broker_s_clock_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Fatal, match=r"progress\.commands has message\.timestamp\.type=CreateTime"):
        await check(monkeypatch, create_time("progress.commands"))


async def test_commands_are_known_by_their_card_and_not_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    larger = replace(CARDS["progress.commands"], max_bytes=EVENT_BYTES)
    monkeypatch.setitem(CARDS, "progress.commands", larger)
    with pytest.raises(Fatal, match=r"progress\.commands has message\.timestamp\.type=CreateTime"):
        await check(monkeypatch, create_time("progress.commands"))


def test_the_cards_that_carry_commands_say_so() -> None:
    commands = {topic.name for topic in CARDS.values() if topic.commands}
    assert commands == {"progress.commands", "recalculation.commands", "certificate.commands"}


async def test_a_development_broker_may_do_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    await check(monkeypatch, create_time("progress.commands"), required=False)


async def test_replays_bring_their_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    await check(monkeypatch, create_time("progress.replays"))


async def test_other_differences_stop_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    await check(monkeypatch, Drift("progress.commands", "retention.ms", "1", "2"))
