"""How far back, and from which topics: commands alone, because everything else follows from them."""

from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition

from ops.errors import OperatorError
from ops.rewinding import Rewind, Rewinder, command_topics, iso, moment

P0 = TopicPartition("progress.commands", 0)
SINCE = 1_769_828_400_000


class Broker:
    """One partition, and a group that has committed up to record 70 of 100."""

    def __init__(self) -> None:
        self.running = 0
        self.topics: list[str] = []
        self.first = 0
        self.stands: int | None = 70
        #: The first record since the moment; None where there is none.
        self.since: int | None = 40
        self.end = 100
        self.loose_ends = False
        self.commits: list[Mapping[TopicPartition, int]] = []

    async def members(self, _: str) -> int:
        return self.running

    async def ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        self.topics = list(topics)
        return {P0: self.end}

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        assert partitions == [P0]

    async def beginning_offsets(self, _: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {P0: self.first}

    async def offsets_for_times(self, moments: Mapping[TopicPartition, int]) -> dict[TopicPartition, object]:
        assert moments == {P0: SINCE}
        return {P0: None if self.since is None else SimpleNamespace(offset=self.since)}

    async def committed(self, _: TopicPartition) -> int | None:
        return self.stands

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.commits.append(offsets)


class OfMemory(Rewinder):
    """Ours, over a broker in memory."""

    def __init__(self, broker: Broker, service: str = "progress") -> None:
        self._service, self._servers = service, "broker-1:9092"
        self._offsets = self._consumer = cast("Any", broker)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def rewinder(broker: Broker) -> Rewinder:
    return OfMemory(broker)


def lack(*, beyond_end: bool = False, **offsets: int) -> Rewind:
    """A step that says that something may be gone."""
    return Rewind(P0.topic, 0, **offsets, may_lack=True, beyond_end=beyond_end)


async def test_a_group_is_sent_back_to_the_first_record_since_then(broker: Broker, rewinder: Rewinder) -> None:
    plan = await rewinder.plan(SINCE)
    await rewinder.rewind(plan)

    assert plan == [Rewind(P0.topic, 0, from_offset=70, to_offset=40, records=30, may_lack=False, beyond_end=False)]
    assert broker.commits == [{P0: 40}]


async def test_without_a_moment_everything_that_is_held_is_handled_again(broker: Broker, rewinder: Rewinder) -> None:
    plan = await rewinder.plan(None)
    await rewinder.rewind(plan)

    assert [(step.records, step.may_lack) for step in plan] == [(70, False)]
    assert broker.commits == [{P0: 0}]


@pytest.mark.parametrize("since", [70, 90, None], ids=["there", "beyond it", "nothing since then"])
async def test_nobody_is_sent_beyond_what_is_committed(broker: Broker, rewinder: Rewinder, since: int | None) -> None:
    broker.since = since
    assert await rewinder.plan(SINCE) == []


async def test_whoever_has_committed_nothing_begins_at_the_beginning_anyway(broker: Broker, rewinder: Rewinder) -> None:
    broker.stands = None
    assert await rewinder.plan(SINCE) == []


@pytest.mark.parametrize("since", [SINCE, None], ids=["a moment", "no moment"])
async def test_where_the_topic_begins_later_it_begins_there_and_says_so(
    broker: Broker, rewinder: Rewinder, since: int | None
) -> None:
    broker.first = broker.since = 50
    assert await rewinder.plan(since) == [lack(from_offset=70, to_offset=50, records=20)]


@pytest.mark.parametrize("stands", [100, 70], ids=["all was handled", "not all was handled"])
@pytest.mark.parametrize("since", [SINCE, None], ids=["a moment", "no moment"])
async def test_that_everything_has_gone_with_its_age_is_said_and_moves_nobody(
    broker: Broker, rewinder: Rewinder, since: int | None, stands: int
) -> None:
    broker.first, broker.since, broker.stands = 100, None, stands

    plan = await rewinder.plan(since)
    await rewinder.rewind(plan)

    assert plan == [lack(from_offset=stands, to_offset=stands, records=0)]
    assert broker.commits == [{}]


async def test_nothing_is_gone_where_all_that_is_held_is_older_than_the_moment(
    broker: Broker, rewinder: Rewinder
) -> None:
    broker.first, broker.since, broker.stands = 50, None, 50
    assert await rewinder.plan(SINCE) == []


@pytest.mark.parametrize(("since", "to", "records"), [(None, 100, 0), (40, 40, 60)], ids=["nothing", "something"])
async def test_a_group_beyond_the_end_of_its_topic_is_sent_back_within_it_whatever_came_since(
    broker: Broker, rewinder: Rewinder, since: int | None, to: int, records: int
) -> None:
    broker.stands, broker.since = 500, since

    plan = await rewinder.plan(SINCE)
    await rewinder.rewind(plan)

    assert plan == [
        Rewind(P0.topic, 0, from_offset=500, to_offset=to, records=records, may_lack=False, beyond_end=True)
    ]
    assert broker.commits == [{P0: to}]


async def test_an_end_that_may_be_too_low_puts_nobody_beyond_it(broker: Broker, rewinder: Rewinder) -> None:
    broker.loose_ends, broker.end = True, 60
    [step] = await rewinder.plan(SINCE)
    assert (step.from_offset, step.to_offset, step.beyond_end) == (70, 40, False)


async def test_topics_of_events_are_gone_back_in_where_that_is_asked_for(broker: Broker) -> None:
    rewinder = OfMemory(broker, "recalculator")
    await rewinder.plan(None, events=True)
    assert broker.topics == ["lesson.completed", "recalculation.commands", "recalculator.replays"]

    await rewinder.plan(None)
    assert broker.topics == ["recalculation.commands"]


async def test_a_service_that_is_running_is_not_gone_back_in(broker: Broker, rewinder: Rewinder) -> None:
    broker.running = 2
    with pytest.raises(OperatorError, match=r"progress is running \(2 in its group\): stop every replica of it first"):
        await rewinder.plan(SINCE)


async def test_nor_is_one_that_was_started_since_the_plan(broker: Broker, rewinder: Rewinder) -> None:
    plan = await rewinder.plan(SINCE)
    broker.running = 1
    with pytest.raises(OperatorError, match="stop every replica"):
        await rewinder.rewind(plan)
    assert broker.commits == []


def test_only_topics_of_commands_are_gone_back_in_because_events_follow_again() -> None:
    assert command_topics("progress") == ["progress.commands", "progress.replays"]
    assert command_topics("recalculator") == ["recalculation.commands"]
    assert command_topics("certificates") == ["certificate.commands"]


def test_a_moment_is_read_with_its_zone_and_written_in_utc() -> None:
    for text in ("2026-01-31T03:00:00Z", "2026-01-31T04:00:00+01:00"):
        assert moment(text, now=0) == 1_769_828_400_000
    assert moment("2h", now=SINCE) == SINCE - 7_200_000
    assert iso(1_769_828_400_000) == "2026-01-31T03:00:00+00:00"


@pytest.mark.parametrize("text", ["yesterday", "2026-01-31T03:00:00", "", "1769828400", "0026-01-31T03:00:00Z"])
def test_what_is_no_moment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(OperatorError, match="write it with its zone, as 2026-01-31T03:00:00Z"):
        moment(text, now=SINCE)


@pytest.mark.parametrize("text", ["2026-13-01T00:00:00Z", "2026-02-30", "2026-01-31T25:00:00Z"])
def test_what_no_calendar_has_is_said_to_be_no_date(text: str) -> None:
    with pytest.raises(OperatorError, match="is no date and time that a calendar and a clock have"):
        moment(text, now=SINCE)
