"""One verification, in this order: what is committed, what is stored, what the topics hold, and what does not agree.

What is committed is read first and the topics last: whatever stands below a committed offset was stored, and its
events acknowledged, before. So a system at work is not taken for a broken one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from aiokafka import TopicPartition

from ops.verify import events, letters
from ops.verify.findings import Findings
from ops.verify.index import Index, key_of
from ops.verify.judges import Judges
from ops.verify.ledger import Horizons, balance
from ops.verify.letters import place_of
from ops.verify.reading import Extent, Log, Unreadable
from ops.verify.recheck import recheck
from ops.verify.records import Changes, Reading, finish_suspects
from ops.verify.stored import OnProgress, read_stored
from shared.clock import Clock
from shared.contracts.topics import SERVICES, TOPICS, dead_letters_of, is_reply_topic, replays_of
from shared.kafka.records import Record
from shared.verification import Defect, Unjudged

_DEAD_LETTERS = frozenset(dead_letters_of(service) for service in SERVICES)
_ALL = tuple(name for name in TOPICS if not is_reply_topic(name))


@dataclass
class Verification:
    """Everything that one verification needs."""

    judges: Judges
    log: Log
    index: Index
    findings: Findings
    clock: Clock
    on_progress: OnProgress = lambda *_: None
    horizons: Horizons = field(default_factory=Horizons)
    _committed: Mapping[tuple[str, TopicPartition], int] = field(default_factory=dict)
    #: How many records of the topics are read, of how many.
    _read_so_far: int = 0
    _to_read: int = 0

    async def run(self) -> None:
        """Read everything once; what is found is in the findings.

        Raises:
            Transient: the database does not answer.
            KafkaError: the broker does not.
        """
        self._committed = await self.log.committed()
        await read_stored(self.judges, self.index, self.findings, self.on_progress)
        changes = Changes(self.judges, await self.judges.recalculator.latest_change())
        extents = dict(sorted((await self.log.extents(_ALL)).items()))
        self._to_read = sum(extent.end - extent.begin for extent in extents.values())
        for number, extent in extents.items():
            if number.topic in _DEAD_LETTERS:
                await self._read(number, extent, self._keep_letters)
        for number, extent in extents.items():
            if number.topic not in _DEAD_LETTERS:
                await self._partition(number, extent, changes)
        if self.index.has_suspects():
            await self._answers()
        finish_suspects(self.index, self.findings)
        self.on_progress("comparing", 0, 0)
        await self._balance()
        await recheck(self.judges, self.index, self.findings)
        self._letters_without_records(extents)
        self._committed_beyond(extents)
        for collection, identity in self.index.unreadable():
            self.findings.defect(Defect.UNREADABLE_DOCUMENT, f"{collection} {identity}")

    async def _keep_letters(self, records: Sequence[Record]) -> None:
        letters.keep(records, self.index, self.findings)

    async def _partition(self, number: TopicPartition, extent: Extent, changes: Changes) -> None:
        publisher, reading = events.publisher_of(number.topic), None
        if (service := _reader_of(number.topic)) is not None:
            committed = self._committed.get((service, number), 0)
            reading = Reading(service, committed, self.judges, changes, self.index, self.findings, self.horizons)

        async def take(records: Sequence[Record]) -> None:
            if publisher is not None:
                self.index.add(await events.of_records(records, publisher, self.judges, self.findings))
            if reading is not None:
                await reading.take(records)

        await self._read(number, extent, take)

    async def _read(
        self, number: TopicPartition, extent: Extent, take: Callable[[Sequence[Record]], Awaitable[None]]
    ) -> None:
        """Read a partition to its end; note how far back it reaches, and what of it cannot be read."""
        following, first = extent.begin, None
        try:
            async for records in self.log.read(number, extent):
                first = records[0].timestamp if first is None else first
                await take(records)
                following = records[-1].offset + 1
                self._read_so_far += len(records)
                self.on_progress("topics", self._read_so_far, self._to_read)
        except Unreadable:
            self.findings.cannot_judge(Unjudged.UNREADABLE_PARTITION, max(1, extent.end - following))
            self.horizons.nothing_of(number.topic)
        if extent.begin > 0:
            self.horizons.begins(number.topic, self.clock() if first is None else first)

    async def _answers(self) -> None:
        """Look for the answers to commands that only those can tell about."""
        topics = [topic for topic in await self.log.existing() if is_reply_topic(topic)]

        async def take(records: Sequence[Record]) -> None:
            ids = [identity for record in records if (identity := dict(record.headers).get("ce_id")) is not None]
            self.index.suspects_answered([key_of(identity) for identity in ids])

        for number, extent in sorted((await self.log.extents(topics)).items()):
            await self._read(number, extent, take)

    async def _balance(self) -> None:
        step = partial(balance, self.index.sort(), self.horizons, self.findings, self._flaw)
        sorting = asyncio.ensure_future(asyncio.to_thread(step))
        try:
            await asyncio.shield(sorting)
        except asyncio.CancelledError:
            self.index.interrupt()
            await asyncio.wait([sorting])
            sorting.exception()  # that the sort was interrupted is no news
            raise

    def _flaw(self, kind: Defect, subject: str, enrollment: str) -> None:
        self.index.add_flaws([(kind.value, subject, enrollment)])

    def _letters_without_records(self, extents: Mapping[TopicPartition, Extent]) -> None:
        for death in self.index.letters_unseen():
            reader = _reader_of(death.topic) if death.topic in TOPICS else None
            stood = TopicPartition(death.topic, death.partition)
            again = TopicPartition(replays_of(reader or ""), 0)
            extent = extents.get(again if death.replays else stood)
            # Of a replay only its count is known, not its own offset.
            if extent is not None and extent.begin > (0 if death.replays else death.offset):
                self.findings.cannot_judge(Unjudged.OLDER_THAN_TOPIC)
            else:
                self.findings.defect(Defect.DEAD_LETTER_WITHOUT_RECORD, place_of(*death[:3]))

    def _committed_beyond(self, extents: Mapping[TopicPartition, Extent]) -> None:
        for (service, number), committed in sorted(self._committed.items()):
            place = f"{number.topic}:{number.partition}"
            extent = extents.get(number, Extent(0, 0))
            told = {"group": service, "partition": place, "begin": extent.begin, "end": extent.end}
            self.findings.partitions.append({**told, "committed": committed})
            subject = f"{service} in {place}"
            count, first = self.findings.stuck.get(place, (0, ""))
            if count:
                note = f"committed {committed}, and {count} records before it have not ended, the first at {first}"
                self.findings.defect(Defect.COMMITTED_BEYOND_FINISHED, subject, note)
            elif committed > extent.end:
                note = f"committed {committed}, and the partition ends at {extent.end}"
                self.findings.defect(Defect.COMMITTED_BEYOND_FINISHED, subject, note)


def _reader_of(topic: str) -> str | None:
    return next((service for service in SERVICES if service in TOPICS[topic].consumers), None)
