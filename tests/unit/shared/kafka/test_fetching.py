"""Fetching: a partition that cannot be read harms no other, and no header name stops anybody.

The library's own code decodes and drains here; only the broker's answers are made up.
"""

import asyncio
import struct
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import (
    ConsumerStoppedError,
    CorruptRecordException,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaError,
    UnsupportedCodecError,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from shared.kafka import fetching
from shared.kafka.decoding import AnyRecords
from shared.kafka.fetching import IsolatingConsumer
from tests.support.eventually import eventually

P0, P1, P2 = (TopicPartition("progress.commands", number) for number in range(3))
PARTITIONS = {P0, P1, P2}
LZ4 = 3
CRC = slice(17, 21)
ATTRIBUTES = 21


def batch_of(first: int, *values: str, header: bytes = b"a-header-name") -> bytes:
    """A record batch as the broker keeps it; every record has this header name, whatever bytes it has."""
    builder = BatchBuilder(1024 * 1024, 0)
    stand_in = "Q" * len(header)
    for value in values:
        builder.append(timestamp=1, key=None, value=value.encode(), headers=[(stand_in, b"1"), ("null", None)])
    wire = bytearray(builder._build().replace(stand_in.encode(), header))
    wire[0:8] = struct.pack(">q", first)
    return checked(wire)


def checked(wire: bytearray) -> bytes:
    wire[CRC] = struct.pack(">I", calc_crc32c(bytes(wire[ATTRIBUTES:])))
    return bytes(wire)


def compressed_by_an_unknown_codec(first: int, value: str) -> bytes:
    wire = bytearray(batch_of(first, value))
    wire[ATTRIBUTES + 1] |= LZ4
    return checked(wire)


def damaged(first: int, value: str) -> bytes:
    wire = bytearray(batch_of(first, value))
    wire[-1] ^= 0xFF
    return bytes(wire)


def end_of(batch: bytes) -> int:
    first, records = struct.unpack(">q", batch[:8])[0], struct.unpack(">i", batch[57:61])[0]
    return int(first + records)


class Broker:
    """Answers every fetch with all that is written from the position on, and counts the fetches."""

    records: Any = MemoryRecords

    def __init__(self) -> None:
        self.written: dict[TopicPartition, list[bytes]] = {p: [] for p in sorted(PARTITIONS)}
        self.states = {
            p: SimpleNamespace(position=0, paused=False, consumed_to=self._moving(p)) for p in sorted(PARTITIONS)
        }
        self.fetched: dict[TopicPartition, Any] = {}
        self.failures: list[Exception] = []
        self.asked: list[tuple[tuple[TopicPartition, ...], int]] = []
        self.stopped = False

    def _moving(self, partition: TopicPartition) -> Any:
        return lambda position: setattr(self.states[partition], "position", position)

    def write(self, partition: TopicPartition, *batches: bytes) -> None:
        self.written[partition] += batches

    def fetch(self) -> None:
        """What the background routine does: an answer for every partition that has none waiting."""
        for partition, state in self.states.items():
            left = [batch for batch in self.written[partition] if end_of(batch) > state.position]
            if partition not in self.fetched and not state.paused and left:
                assignment = SimpleNamespace(active=True, state_value=self.states.__getitem__)
                records = PartitionRecords(
                    partition, self.records(b"".join(left)), [], state.position, None, None, True, 1
                )
                self.fetched[partition] = FetchResult(
                    partition, assignment=assignment, partition_records=records, backoff=0
                )

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int = 1) -> Any:
        """The library's `getmany`, its draining untouched."""
        self.asked.append((partitions, max_records))
        await asyncio.sleep(0)
        if self.stopped:
            raise ConsumerStoppedError
        if self.failures:
            raise self.failures.pop(0)
        self.fetch()
        library = SimpleNamespace(
            _subscriptions=SimpleNamespace(reassignment_in_progress=False, is_assigned=PARTITIONS.__contains__),
            _records=self.fetched,
            _notify=lambda _: None,
            _wait_consume_future=None,
        )
        return await Fetcher.fetched_records(library, partitions, 0, max_records=max_records)


class Consumer(IsolatingConsumer):
    """Ours, over the made-up broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._turn = 0
        self.refusals = 0
        #: What was told of refusals.
        self.told: list[KafkaError] = []
        self._refused = self.told.append
        self._frail: set[TopicPartition] = set()
        self._closed = True
        #: Every partition that was left alone, in order.
        self.rested: list[TopicPartition] = []

    def assignment(self) -> set[TopicPartition]:
        return PARTITIONS

    def pause(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self._broker.states[partition].paused = True
            self.rested.append(partition)

    def resume(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self._broker.states[partition].paused = False

    def __del__(self) -> None:
        """Nothing was opened."""


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()

    async def getmany(_: object, *partitions: TopicPartition, **options: Any) -> Any:
        return await broker.getmany(*partitions, **options)

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", getmany)
    monkeypatch.setattr(fetching, "_BREATH_SECONDS", 0.0)
    monkeypatch.setattr(fetching, "REST_SECONDS", 0.01)
    return broker


@pytest.fixture
def consumer(broker: Broker) -> Consumer:
    return Consumer(broker)


def values(batch: Mapping[TopicPartition, Sequence[Any]]) -> dict[int, list[str]]:
    return {p.partition: [record.value.decode() for record in records] for p, records in batch.items()}


async def taken(consumer: Consumer, enough: int) -> dict[int, list[str]]:
    """What the consumer hands over, until it is so many records."""
    everything: dict[int, list[str]] = {}
    while sum(map(len, everything.values())) < enough:
        for partition, found in values(await consumer.getmany(max_records=100)).items():
            everything.setdefault(partition, []).extend(found)
    return everything


UNREADABLE = {
    "a codec that is not installed": compressed_by_an_unknown_codec(2, "c"),
    "a damaged batch": damaged(2, "c"),
    "a header name that is no UTF-8": batch_of(2, "c", header=b"\xff-header-name"),
}


@pytest.mark.parametrize("unreadable", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_why_this_is_needed_the_library_loses_records_of_other_partitions(
    broker: Broker, unreadable: bytes
) -> None:
    broker.write(P0, batch_of(0, "good"))
    broker.write(P1, unreadable.replace(struct.pack(">q", 2), struct.pack(">q", 0), 1))
    broker.fetch()
    broker.fetched = {P0: broker.fetched[P0], P1: broker.fetched[P1]}

    with pytest.raises((UnsupportedCodecError, CorruptRecordException, UnicodeDecodeError)):
        await broker.getmany(max_records=100)

    assert broker.states[P0].position == 1


@pytest.mark.parametrize("unreadable", UNREADABLE.values(), ids=UNREADABLE.keys())
@pytest.mark.parametrize("start", range(3))
async def test_a_partition_that_cannot_be_read_loses_no_record_of_any_other(
    broker: Broker, consumer: Consumer, unreadable: bytes, start: int
) -> None:
    consumer._turn = start
    broker.write(P0, batch_of(0, "a0", "a1"), batch_of(2, "a2"))
    broker.write(P1, batch_of(0, "b0", "b1"), unreadable)
    broker.write(P2, batch_of(0, "c0", "c1"), batch_of(2, "c2"))

    assert await taken(consumer, 8) == {0: ["a0", "a1", "a2"], 1: ["b0", "b1"], 2: ["c0", "c1", "c2"]}

    broker.write(P0, batch_of(3, "a3"))
    assert await taken(consumer, 1) == {0: ["a3"]}


@pytest.mark.parametrize("unreadable", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_nor_does_one_that_is_written_to_while_the_consumer_waits(
    broker: Broker, consumer: Consumer, unreadable: bytes
) -> None:
    getmany = broker.getmany

    async def written_meanwhile(*partitions: TopicPartition, **options: Any) -> Any:
        if not partitions and not broker.written[P0]:
            broker.write(P0, batch_of(0, "a0", "a1"))
            broker.write(P1, batch_of(0, "b0", "b1"), unreadable)
        return await getmany(*partitions, **options)

    broker.getmany = written_meanwhile  # type: ignore[method-assign]

    batch = await consumer.getmany(max_records=100)

    assert {p: state.position for p, state in broker.states.items()} == {p: len(batch.get(p, ())) for p in PARTITIONS}


@pytest.mark.parametrize("start", range(3))
async def test_an_unreadable_partition_rests_and_is_tried_again(broker: Broker, consumer: Consumer, start: int) -> None:
    consumer._turn = start
    broker.write(P1, damaged(0, "b0"))
    reading = asyncio.create_task(consumer.getmany(max_records=100))
    await eventually(lambda: len(consumer.rested) >= 2)
    assert not reading.done()

    broker.written[P1] = [batch_of(0, "b0")]

    assert values(await reading) == {1: ["b0"]}


async def test_a_fetch_that_finds_nothing_is_repeated_and_never_an_answer(broker: Broker, consumer: Consumer) -> None:
    # FastStream sleeps for the whole time-out, deaf, after an empty answer.
    reading = asyncio.create_task(consumer.getmany(timeout_ms=1, max_records=100))
    await eventually(lambda: len(broker.asked) > 30)
    assert not reading.done()

    broker.write(P0, batch_of(0, "a0"))

    assert values(await reading) == {0: ["a0"]}


async def test_never_more_records_than_were_asked_for(broker: Broker, consumer: Consumer) -> None:
    for partition in PARTITIONS:
        broker.write(partition, batch_of(0, *(f"{partition.partition}-{n}" for n in range(10))))

    batches = [values(await consumer.getmany(max_records=7)) for _ in range(5)]

    sizes = [sum(map(len, batch.values())) for batch in batches]
    assert max(sizes) <= 7
    assert sum(sizes) == 30


async def test_the_records_of_a_partition_keep_their_order(broker: Broker, consumer: Consumer) -> None:
    for partition in PARTITIONS:
        broker.write(partition, batch_of(0, *map(str, range(10))))
    everything = await taken(consumer, 30)
    assert everything == {number: [str(n) for n in range(10)] for number in range(3)}


async def test_no_partition_starves_behind_a_full_one(broker: Broker, consumer: Consumer) -> None:
    for partition in PARTITIONS:
        broker.write(partition, batch_of(0, *map(str, range(100))))
    first = {next(iter(values(await consumer.getmany(max_records=5)))) for _ in range(3)}
    assert first == {0, 1, 2}


@pytest.mark.parametrize("refusal", [GroupAuthorizationFailedError(), KafkaError()], ids=repr)
async def test_a_refusal_of_the_broker_is_not_taken_for_bad_data(
    broker: Broker, consumer: Consumer, refusal: Exception
) -> None:
    broker.failures = [refusal]
    with pytest.raises(type(refusal)):
        await consumer.getmany(max_records=100)
    assert not any(state.paused for state in broker.states.values())


async def test_what_was_taken_before_a_refusal_is_handed_over(broker: Broker, consumer: Consumer) -> None:
    broker.write(P0, batch_of(0, "a0"))
    getmany = broker.getmany

    async def refusing_the_next(*partitions: TopicPartition, **options: Any) -> Any:
        found = await getmany(*partitions, **options)
        if found:
            broker.failures = [KafkaError()]
        return found

    broker.getmany = refusing_the_next  # type: ignore[method-assign]

    assert values(await consumer.getmany(max_records=100)) == {0: ["a0"]}


async def test_a_stopped_consumer_says_so(broker: Broker, consumer: Consumer) -> None:
    broker.stopped = True
    with pytest.raises(ConsumerStoppedError):
        await consumer.getmany(max_records=100)


async def test_a_partition_that_went_away_meanwhile_is_no_error(
    broker: Broker, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: TopicPartition) -> None:
        raise IllegalStateError("not assigned")

    monkeypatch.setattr(consumer, "pause", gone)
    broker.write(P1, damaged(0, "b0"))
    broker.write(P0, batch_of(0, "a0"))
    assert await taken(consumer, 1) == {0: ["a0"]}
    consumer._wake(P1)


class TestHeaderNames:
    NAMES = (b"\xff", b"caf\xe9", b"\xed\xa0\x80", b"\x80" * 100)

    @pytest.fixture(autouse=True)
    def _accepting(self, broker: Broker) -> Iterator[None]:
        broker.records = AnyRecords
        return iter(())

    @pytest.mark.parametrize("name", NAMES)
    async def test_a_name_that_is_no_utf8_is_escaped_and_everything_else_is_as_it_was(
        self, broker: Broker, consumer: Consumer, name: bytes
    ) -> None:
        broker.write(P0, batch_of(0, "a0", "a1", header=name), batch_of(2, "a2"))

        batch = await consumer.getmany(max_records=100)

        records = batch[P0]
        assert [(r.offset, r.value, r.key, r.timestamp) for r in records] == [
            (n, b"a%d" % n, None, 1) for n in range(3)
        ]
        escaped = name.decode("utf-8", "backslashreplace")
        assert records[0].headers == records[1].headers == ((escaped, b"1"), ("null", None))
        assert records[2].headers == (("a-header-name", b"1"), ("null", None))

    async def test_the_crc_is_still_checked(self, broker: Broker, consumer: Consumer) -> None:
        broker.write(P0, batch_of(0, "a0"), damaged(1, "a1"))
        assert await taken(consumer, 1) == {0: ["a0"]}

    def test_a_fetch_that_ends_within_a_batch_gives_the_whole_ones(self) -> None:
        whole = batch_of(0, "a0") + batch_of(1, "a1")
        for cut in range(len(whole)):
            records = AnyRecords(whole[:cut])
            found = []
            while records.has_next():
                found += [record.value for record in records.next_batch()]
            assert found == [b"a0"][: cut // len(batch_of(0, "a0"))]
            assert records.next_batch() is None

    def test_the_old_message_formats_are_the_library_s(self) -> None:
        legacy = bytes.fromhex("0000000000000000000000105ba96dd40000ffffffff0000000276 76".replace(" ", ""))
        reference = MemoryRecords(legacy).next_batch()
        ours = AnyRecords(legacy).next_batch()
        assert ours.producer_id is reference.producer_id
        assert [r.value for r in ours] == [r.value for r in reference]


class TestRefusals:
    REFUSED = GroupAuthorizationFailedError("progress")

    async def test_a_refusal_is_told_counted_and_raised(
        self, consumer: Consumer, broker: Broker, logged: list[MutableMapping[str, Any]]
    ) -> None:
        for in_a_row in (1, 2):
            broker.failures.append(self.REFUSED)
            with pytest.raises(GroupAuthorizationFailedError):
                await consumer.getmany()
            assert consumer.refusals == in_a_row
        assert consumer.told == [self.REFUSED] * 2
        lines = [line for line in logged if line["event"] == "fetch.refused"]
        assert [(line["error"], line["in_a_row"]) for line in lines] == [
            ("GroupAuthorizationFailedError", 1), ("GroupAuthorizationFailedError", 2)
        ]  # fmt: skip

    async def test_records_that_come_again_end_the_row(self, consumer: Consumer, broker: Broker) -> None:
        broker.failures.append(self.REFUSED)
        with pytest.raises(GroupAuthorizationFailedError):
            await consumer.getmany()
        broker.write(P0, batch_of(0, "a"))
        await consumer.getmany()
        assert consumer.refusals == 0

    async def test_so_does_a_quiet_fetch(self, consumer: Consumer, broker: Broker) -> None:
        consumer.refusals = 3
        waiting = asyncio.create_task(consumer.getmany())
        await eventually(lambda: consumer.refusals == 0)
        waiting.cancel()
        await asyncio.wait({waiting})

    async def test_a_refusal_is_told_even_where_records_are_handed_over(
        self, consumer: Consumer, broker: Broker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broker.write(P0, batch_of(0, "a"))
        answer = broker.getmany

        async def refusing_others(*partitions: TopicPartition, **options: Any) -> Any:
            if partitions == (P1,):
                raise self.REFUSED
            return await answer(*partitions, **options)

        consumer._turn = 2
        monkeypatch.setattr(broker, "getmany", refusing_others)
        assert values(await consumer.getmany(max_records=10)) == {0: ["a"]}
        assert consumer.told == [self.REFUSED]

    async def test_damaged_records_are_no_refusal(self, consumer: Consumer, broker: Broker) -> None:
        broker.write(P0, damaged(0, "a"))
        broker.write(P1, batch_of(0, "b"))
        await consumer.getmany()
        assert consumer.told == []
