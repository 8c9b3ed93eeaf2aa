"""Dead letters through their whole life: found, sent again, counted, refused, put away."""

import asyncio
import re
from io import StringIO
from typing import cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError
from rich.console import Console

from ops.deadletters.letter import State
from ops.deadletters.planning import Left
from ops.deadletters.selection import Selection
from ops.deadletters.sending import Pace, Sent, send_again
from ops.deadletters.view import lines_of, table
from ops.errors import OperatorError
from ops.tables import print_table
from ops.target import Target
from shared.contracts.topics import DEAD_LETTER_BYTES
from shared.kafka.deadletter import DISCARDED_AT, replays_in
from shared.kafka.records import Record
from tests.support.builders import command, envelope, record
from tests.support.fake_log import FakeLog
from tests.support.process import Process
from tests.unit.ops.deadletters.conftest import AS_FAST_AS_IT_GOES, Operator

DEAD_LETTERS = "progress.deadletters"
REPLAYS = "progress.replays"
FIRST = "progress.commands:0:0"
SECOND = "progress.commands:0:1"
MENDED = ("x-mended", b"yes")
ONE_BY_ONE = Pace(1, lambda _: asyncio.sleep(0))


async def bury(service: Process, *poison: Record) -> None:
    service.log.add(*poison or [command(value=b"{")])
    await service.run()


def mend(log: FakeLog) -> None:
    """What stands in the replays can be read from now on, as if the service had learned to."""
    partition = log.topics[REPLAYS][0]
    partition[:] = [
        record(REPLAYS, value=command().value, headers=r.headers, offset=r.offset, key=r.key) for r in partition
    ]


async def test_a_letter_is_open_then_replayed_then_handled(operator: Operator, service: Process, log: FakeLog) -> None:
    await bury(service)
    assert ((await operator.only()).state, (await operator.only()).replays) == (State.OPEN, 0)

    await operator.replay(FIRST)
    assert ((await operator.only()).state, (await operator.only()).replays) == (State.REPLAYED, 1)

    mend(log)
    await service.run()
    assert ((await operator.only()).state, (await operator.only()).replays) == (State.HANDLED, 1)


async def test_what_dies_again_came_back_and_is_the_same_letter(operator: Operator, service: Process) -> None:
    await bury(service)

    await operator.replay(FIRST)
    await service.run()

    known = await operator.only()
    assert (known.state, known.replays, known.copies) == (State.CAME_BACK, 1, 1)
    assert (str(known.letter.position), str(known.letter.stands)) == (FIRST, "progress.deadletters:0:1")


async def test_two_letters_of_one_death_are_one_with_a_count(
    operator: Operator, service: Process, log: FakeLog
) -> None:
    await bury(service)
    log.add(log.read(DEAD_LETTERS)[0])

    known = await operator.only()

    assert (known.copies, known.replays, str(known.letter.position)) == (2, 0, FIRST)


async def test_an_earlier_copy_that_comes_late_changes_nothing(
    operator: Operator, service: Process, log: FakeLog
) -> None:
    await bury(service)
    await operator.replay(FIRST)
    await service.run()

    log.add(log.read(DEAD_LETTERS)[0])

    known = await operator.only()
    assert (known.state, known.replays, known.copies) == (State.CAME_BACK, 1, 1)


@pytest.mark.parametrize("key", [b"learner-1", None], ids=["a key", "no key"])
@pytest.mark.parametrize("value", [b"\xff{", b"", None], ids=["a value", "an empty value", "no value"])
async def test_a_replay_has_the_letters_bytes_and_its_headers_and_the_count(
    operator: Operator, service: Process, log: FakeLog, key: bytes | None, value: bytes | None
) -> None:
    await bury(service, command(key=key, value=value, headers=[("odd", b"\xfe"), ("none", None)]))
    [letter] = log.read(DEAD_LETTERS)

    await operator.replay(FIRST)

    [replay] = log.read(REPLAYS)
    assert (replay.key, replay.value) == (key, value)
    assert replay.headers == (*letter.headers, ("x-dead-letter-replays", b"1"))


async def test_the_fourth_replay_is_refused(operator: Operator, service: Process, log: FakeLog) -> None:
    await bury(service)
    for _ in range(3):
        await operator.replay(FIRST)
        await service.run()

    with pytest.raises(OperatorError, match="was replayed 3 times"):
        await operator.replay(FIRST)
    found = await operator.replay(service="progress")

    assert (found.taken.total(), found.left) == (0, {Left.EXHAUSTED: 1})
    assert [replays_in(r.headers) for r in log.read(REPLAYS)] == [1, 2, 3]


async def test_what_was_sent_already_is_sent_again_only_when_it_is_named(
    operator: Operator, service: Process, log: FakeLog
) -> None:
    await bury(service, command(value=b"{"), command(value=b"["))
    await operator.replay(FIRST)

    found = await operator.replay(service="progress")

    assert (found.taken.total(), found.left) == (1, {Left.SENT: 1})
    assert len(log.read(REPLAYS)) == 2
    await operator.replay(FIRST)
    assert [replays_in(r.headers) for r in log.read(REPLAYS)] == [1, 1, 2]


async def test_of_several_that_are_named_those_to_be_left_alone_are_counted_and_the_others_sent(
    operator: Operator, service: Process, log: FakeLog
) -> None:
    await bury(service, command(value=b"{"), command(value=b"["))
    for _ in range(3):
        await operator.replay(FIRST)
        await service.run()

    planned = await operator.replay(FIRST, SECOND)

    assert (planned.taken.total(), planned.left) == (1, {Left.EXHAUSTED: 1})
    assert [r.value for r in log.read(REPLAYS)] == [b"{"] * 3 + [b"["]


async def test_what_is_left_of_a_replay_by_name_is_named_so_that_nothing_is_sent_twice(
    operator: Operator, service: Process, log: FakeLog
) -> None:
    names = [f"progress.commands:0:{n}" for n in range(4)]
    await bury(service, *(command(value=f"poison {n}".encode()) for n in range(4)))
    operator.producer_made.refuse = lambda _, value: KafkaTimeoutError() if value == b"poison 1" else None

    with pytest.raises(OperatorError) as refused:
        await operator.replay(*names, limit=3, pace=ONE_BY_ONE)
    operator.producer_made.refuse = lambda _, __: None
    done, _, said = str(refused.value).partition("; to go on, name the others alone: ")
    await operator.replay(*said.split())

    assert done.endswith("see that it is up; 1 are done")
    assert said.split() == names[1:3]
    assert sorted(r.value or b"" for r in log.read(REPLAYS)) == [b"poison 0", b"poison 1", b"poison 2"]


async def test_a_named_letter_that_retention_took_is_not_to_be_named_again(
    operator: Operator, service: Process, log: FakeLog
) -> None:
    await bury(service, command(value=b"{"), command(value=b"["), command(value=b"("))
    log.begins[TopicPartition(DEAD_LETTERS, 0)] = 1
    letters = (await operator.list()).letters
    log.begins[TopicPartition(DEAD_LETTERS, 0)] = 2
    sent = Sent(waiting=[known.letter.position for known in letters])

    await send_again(cast("Target", operator), letters, sent, lambda _: None, pace=Pace(AS_FAST_AS_IT_GOES))

    assert sent.so_far == "1 are done; nothing is left to be done"


async def test_a_letter_may_be_named_by_where_it_stands_itself(
    operator: Operator, service: Process, log: FakeLog
) -> None:
    await bury(service)

    await operator.replay("progress.deadletters:0:0")

    assert len(log.read(REPLAYS)) == 1


async def test_without_a_yes_nothing_is_sent_and_everything_is_said(
    operator: Operator, service: Process, log: FakeLog
) -> None:
    await bury(service, command(value=b"{"), record(headers=envelope("lesson.forget.v1")), command(value=b"["))

    replay = await operator.replay(service="progress", yes=False)
    discard = await operator.discard(service="progress", yes=False)

    assert replay.taken == discard.taken == {("progress", "InvalidPayload"): 2, ("progress", "UnknownType"): 1}
    assert (log.read(REPLAYS), len(log.read(DEAD_LETTERS))) == ([], 3)


async def test_a_limit_takes_the_oldest(operator: Operator, service: Process, log: FakeLog) -> None:
    await bury(service, *(command(value=f"poison {n}".encode()) for n in range(5)))

    planned = await operator.replay(service="progress", limit=2, yes=False)
    await operator.replay(service="progress", limit=2)
    await operator.replay(service="progress", limit=2)

    assert planned.taken.total() == 2
    assert [r.value for r in log.read(REPLAYS)] == [f"poison {n}".encode() for n in range(4)]


async def test_a_letter_without_its_value_cannot_be_replayed(
    operator: Operator, service: Process, log: FakeLog
) -> None:
    await bury(service, record(value=b"v" * (DEAD_LETTER_BYTES + 1)))
    assert (await operator.only()).letter.value_dropped

    with pytest.raises(OperatorError, match=r"nothing was done.*too large to be kept"):
        await operator.replay(FIRST)
    assert (await operator.replay(error="TooLarge")).left == {Left.DROPPED: 1}
    assert log.read(REPLAYS) == []


async def test_a_letter_that_retention_took_in_the_meantime_is_counted_and_the_others_are_sent(
    operator: Operator, service: Process, log: FakeLog
) -> None:
    await bury(service, command(value=b"{"), command(value=b"["))
    begin = log.begins.__setitem__
    reader = operator.reader
    calls = 0

    def taking(*topics: str) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:  # the survey reads replays and letters; then the letters are fetched
            begin(TopicPartition(DEAD_LETTERS, 0), 1)
        return reader(*topics)

    operator.reader = taking  # type: ignore[assignment, method-assign]
    await operator.replay(service="progress")

    assert (operator.sent.acknowledged, operator.sent.gone) == (1, 1)


async def test_what_the_broker_did_not_take_ends_the_command_and_is_sent_by_the_next(
    operator: Operator, service: Process, log: FakeLog
) -> None:
    await bury(service, *(command(value=f"poison {n}".encode()) for n in range(3)))
    operator.producer_made.refuse = lambda _, value: KafkaTimeoutError() if value == b"poison 1" else None

    with pytest.raises(
        OperatorError,
        match=r"did not take a record for progress\.replays .*; 0 are done; the same command goes on with the others$",
    ):
        await operator.replay(service="progress")
    operator.producer_made.refuse = lambda _, __: None
    await operator.replay(service="progress")

    assert sorted(r.value or b"" for r in log.read(REPLAYS)) == [b"poison 0", b"poison 1", b"poison 2"]


async def test_a_letter_that_is_not_there_is_named(operator: Operator, service: Process) -> None:
    await bury(service)
    for asked in (operator.replay, operator.discard):
        with pytest.raises(OperatorError, match=re.escape("there is no dead letter of progress.commands:0:7")):
            await asked(FIRST, "progress.commands:0:7")


class TestDiscarded:
    async def test_it_is_hidden_and_not_replayed_unless_it_is_named(
        self, operator: Operator, service: Process, log: FakeLog
    ) -> None:
        await bury(service)

        await operator.discard(FIRST)

        assert (await operator.list()).letters == []
        known = await operator.only()
        assert known.state is State.DISCARDED
        assert known.mark is not None
        assert known.mark.reason == "seen"
        assert (await operator.replay(service="progress")).left == {Left.DISCARDED: 1}
        await operator.replay(FIRST)
        assert len(log.read(REPLAYS)) == 1

    async def test_a_mark_holds_nothing_of_the_letter_but_its_position(
        self, operator: Operator, service: Process, log: FakeLog
    ) -> None:
        await bury(service)

        await operator.discard(FIRST)

        mark = log.read(DEAD_LETTERS)[-1]
        assert (mark.key, mark.value) == (None, None)
        assert [name.removeprefix("x-dead-letter-") for name, _ in mark.headers] == [
            "topic", "partition", "offset", "replays", "reason", "discarded-at"
        ]  # fmt: skip

    async def test_a_copy_of_the_same_death_stays_discarded(
        self, operator: Operator, service: Process, log: FakeLog
    ) -> None:
        await bury(service)
        await operator.discard(FIRST)

        log.add(log.read(DEAD_LETTERS)[0])

        assert (await operator.only()).state is State.DISCARDED

    async def test_what_dies_once_more_after_it_was_put_away_is_there_again(
        self, operator: Operator, service: Process
    ) -> None:
        await bury(service)
        await operator.discard(FIRST)

        await operator.replay(FIRST)
        assert (await operator.only()).state is State.REPLAYED
        await service.run()

        assert (await operator.only()).state is State.CAME_BACK
        await operator.discard(FIRST)
        assert (await operator.list()).letters == []

    async def test_what_is_on_its_way_is_not_put_away(self, operator: Operator, service: Process) -> None:
        await bury(service)
        await operator.replay(FIRST)

        with pytest.raises(OperatorError, match="its replay is not handled yet"):
            await operator.discard(FIRST)

    async def test_the_same_names_go_on_where_a_discard_was_interrupted(
        self, operator: Operator, service: Process
    ) -> None:
        await bury(service, command(value=b"{"), command(value=b"["))
        await operator.discard(FIRST)

        planned = await operator.discard(FIRST, SECOND)

        assert (planned.taken.total(), planned.left) == (1, {Left.DISCARDED: 1})
        assert (await operator.list()).letters == []
        with pytest.raises(OperatorError, match=f"^nothing was done: {FIRST} is left .*; {SECOND} is left alone"):
            await operator.discard(FIRST, SECOND)

    async def test_no_sender_can_hide_a_letter(self, operator: Operator, service: Process) -> None:
        await bury(service, command(value=b"{", headers=[(DISCARDED_AT, b"1")]))

        assert [known.state for known in (await operator.list()).letters] == [State.OPEN]


async def test_a_list_is_limited_and_still_counts_all(operator: Operator, service: Process) -> None:
    await bury(service, *(command(value=b"{") for _ in range(7)))

    found = await operator.list(Selection(error="InvalidPayload"), limit=3)

    assert [str(k.letter.position) for k in found.letters] == [f"progress.commands:0:{n}" for n in range(3)]
    assert found.states == {"open": 7}


async def test_a_position_can_be_copied_from_a_narrow_screen(operator: Operator, service: Process) -> None:
    await bury(service)
    screen = Console(width=60, file=StringIO())

    print_table(table((await operator.list()).letters), screen)

    assert FIRST in screen.file.getvalue()  # type: ignore[attr-defined]


async def test_a_moment_that_no_calendar_has_is_shown_as_the_number_it_is(
    operator: Operator, service: Process, log: FakeLog
) -> None:
    await bury(service)
    [letter] = log.read(DEAD_LETTERS)
    log.add(record(DEAD_LETTERS, headers=[*letter.headers, ("x-dead-letter-first-failed-at", b"9223372036854775807")]))
    screen = Console(width=200, file=StringIO())

    screen.print(table((await operator.list()).letters))

    assert "9223372036854775807" in screen.file.getvalue()  # type: ignore[attr-defined]
    assert list(lines_of({"firstFailedAt": 2**63 - 1, "recordTime": 0})) == [
        "firstFailedAt: 9223372036854775807",
        "recordTime: 0 (1970-01-01 00:00:00 UTC)",
    ]


async def test_sending_waits_for_its_rate(operator: Operator, service: Process, log: FakeLog) -> None:
    await bury(service, *(command(value=f"poison {n}".encode()) for n in range(25)))
    letters = (await operator.list()).letters
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    pace = Pace(20.0, sleep)
    await send_again(cast("Target", operator), letters, Sent(), lambda _: None, pace=pace)

    assert pauses == [0.1] * 12 + [0.05]
    assert len(log.read(REPLAYS)) == 25


async def test_an_interrupted_replay_says_how_many_were_sent_and_the_next_one_sends_the_others(
    operator: Operator, service: Process, log: FakeLog
) -> None:
    values = {f"poison {n}".encode() for n in range(9)}
    await bury(service, *(command(value=value) for value in sorted(values)))
    letters, sent = (await operator.list()).letters, Sent()

    async def interrupted(_: float) -> None:
        if sent.acknowledged == 4:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await send_again(cast("Target", operator), letters, sent, lambda _: None, pace=Pace(20.0, interrupted))
    assert sent.acknowledged == len(log.read(REPLAYS)) == 4
    await operator.replay(service="progress")

    assert operator.sent.acknowledged == 5
    assert {r.value for r in log.read(REPLAYS)} == values
    assert len(log.read(REPLAYS)) == len(values)
