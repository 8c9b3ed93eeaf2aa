"""Reading topics from end to end, and single records of them, with flat memory."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console
from rich.progress import Progress

from ops.deadletters.index import Index
from ops.deadletters.letter import Known, read
from ops.errors import OperatorError
from ops.offsets import GroupOffsets
from ops.target import Target
from shared.contracts.topics import SERVICES, Service, dead_letters_of, replays_of
from shared.kafka.records import Record

#: Told how many records have been read, and how many there are at least.
Report = Callable[[int, int], None]
_AT_ONCE = 500
_FETCH_MS = 1_000
_LAST_FETCH_MS = 200
_SILENCE_SECONDS = 30.0


@asynccontextmanager
async def survey(target: Target, services: Iterable[Service], out: Console) -> AsyncIterator[Index]:
    """Everything that is known of these services' dead letters; the index ends with the block.

    Raises:
        OperatorError: the broker is away, or failed.
    """
    with Index() as index:
        async with GroupOffsets(target) as groups:
            # First how far a service has come, then what it was sent, then what it buried: whatever counts as
            # finished here is buried by now, if it died again.
            committed = {service: await groups.committed(service, [replays_of(service)]) for service in services}
        with bar(out, "reading replays") as report:
            async with aclosing(whole(target, list(map(replays_of, committed)), report)) as records:
                async for record in records:
                    index.add_replay(record, committed[_service_of(record)])
        with bar(out, "reading dead letters") as report:
            async with aclosing(whole(target, list(map(dead_letters_of, committed)), report)) as records:
                async for record in records:
                    index.add(read(_service_of(record), record))
        yield index


def _service_of(record: Record) -> Service:
    return next(s for s in SERVICES if record.topic in (dead_letters_of(s), replays_of(s)))


@contextmanager
def bar(out: Console, name: str) -> Iterator[Report]:
    """Show how far something is while the block runs, where a person looks on."""
    with Progress(console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


async def whole(target: Target, topics: Sequence[str], report: Report) -> AsyncGenerator[Record, None]:
    """Every record of these topics that stands there now.

    Raises:
        OperatorError: the broker is away, or failed.
    """
    async with target.reader(*topics) as consumer:
        ends = {partition: await consumer.position(partition) for partition in consumer.assignment()}
        await consumer.seek_to_beginning()
        begins = {partition: await consumer.position(partition) for partition in ends}
        expected, done = sum(ends.values()) - sum(begins.values()), 0
        watch = _Watch(target)
        while True:
            behind = [partition for partition, end in ends.items() if await consumer.position(partition) < end]
            # An end may be too low on the embedded broker: one fetch more says whether it was.
            batches = await consumer.getmany(timeout_ms=_FETCH_MS if behind else _LAST_FETCH_MS, max_records=_AT_ONCE)
            if not batches and not behind:
                return
            for records in batches.values():
                for record in records:
                    yield record
                done += len(records)
            report(done, max(done, expected))
            watch.saw(batches)


async def records_of(target: Target, letters: Iterable[Known]) -> AsyncGenerator[tuple[Known, Record | None], None]:
    """The record of each of these letters, as it stands in its topic; None where it is no longer there.

    Raises:
        OperatorError: the broker is away, or failed.
    """
    async with target.reader(*map(dead_letters_of, SERVICES)) as consumer:
        begins = await consumer.beginning_offsets(list(consumer.assignment()))
        for known in letters:
            topic, number, offset = known.letter.stands
            partition = TopicPartition(topic, number)
            gone = offset < begins[partition]
            yield known, None if gone else await _at(target, consumer, partition, offset)


async def _at(target: Target, consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> Record | None:
    if await consumer.position(partition) != offset:
        consumer.seek(partition, offset)
    watch = _Watch(target)
    while True:
        batches = await consumer.getmany(partition, timeout_ms=_FETCH_MS, max_records=1)
        watch.saw(batches)
        if batches:
            [record] = batches[partition]
            return record if record.offset == offset else None


class _Watch:
    """Notices a broker that no longer answers: the client waits for it in silence."""

    def __init__(self, target: Target) -> None:
        self._servers = target.bootstrap_servers
        self._last = time.monotonic()

    def saw(self, batches: Mapping[TopicPartition, object]) -> None:
        """Take note of what a fetch brought.

        Raises:
            OperatorError: none has brought anything for a long time.
        """
        if batches:
            self._last = time.monotonic()
        elif time.monotonic() - self._last > _SILENCE_SECONDS:
            raise OperatorError(f"the broker at {self._servers} stopped answering; see that it is up, and try again")
