"""Certificates that a restored database lacks: what the topic of issued ones still says of them, as commands."""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pydantic import ValidationError

from ops.errors import OperatorError
from ops.failures import broker_named
from ops.offsets import GroupOffsets
from ops.rewinding import may_lack
from ops.target import Target
from shared.contracts.certificates import CertificateIssued, CertificateRevoked
from shared.contracts.operators import CertificateRestore
from shared.contracts.topics import CERTIFICATE_ISSUED
from shared.kafka.connection import client_options, connected, disconnected

_AT_ONCE = 1000
#: The client waits in silence for a broker that is away; nobody else does for longer than this (seconds).
_SILENCE_SECONDS = 30.0
_TYPE_HEADER = "ce_type"


@dataclass(slots=True)
class Lost:
    """What the topic of issued certificates says of those that a database may lack."""

    by_id: dict[str, CertificateRestore] = field(default_factory=dict)
    #: Records that nobody can read; nothing is known of them.
    unreadable: int = 0
    #: The topic begins later than what was asked for: some may have gone with its age.
    may_lack: bool = False

    @property
    def certificates(self) -> Sequence[CertificateRestore]:
        """One command for each, in the order in which they were first seen."""
        return list(self.by_id.values())

    def note(self, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Take in records, by type and value; one that cannot be read is counted, and stops nobody."""
        for kind, value in records:
            try:
                self._note(kind, value or b"")
            except ValidationError:
                self.unreadable += 1

    def _note(self, kind: bytes | None, value: bytes) -> None:
        if kind == CertificateIssued.TYPE.encode():
            issued = CertificateIssued.from_json(value)
            known = self.by_id.get(issued.certificate_id)
            self.by_id[issued.certificate_id] = CertificateRestore(
                certificate_id=issued.certificate_id,
                enrollment_id=issued.enrollment_id,
                user_id=issued.user_id,
                course_id=issued.course_id,
                issued_at=issued.issued_at,
                revoked_at=known.revoked_at if known is not None else None,
            )
        elif kind == CertificateRevoked.TYPE.encode():
            revoked = CertificateRevoked.from_json(value)
            if (known := self.by_id.get(revoked.certificate_id)) is not None:
                self.by_id[revoked.certificate_id] = known.model_copy(update={"revoked_at": revoked.revoked_at})


async def lost_certificates(target: Target, since: int, tell: Callable[[int], None] = lambda _: None) -> Lost:
    """One command for each certificate that was issued since then (epoch ms), with its latest state.

    One that was only withdrawn since then has no command: it is still stored, and its revocation is handled again when
    certificates goes back to it. `rewind` does without a moment; with one, only if that lies before every command that
    waited at the backup. `tell` hears how many records were read.

    Raises:
        OperatorError: no broker answers, or it failed.
    """
    lost, read = Lost(), 0
    async with GroupOffsets(target) as offsets:
        ends = await offsets.ends([CERTIFICATE_ISSUED])
    # What its age takes from the topic while it is read is skipped, and no more than that.
    options = client_options(target.settings.kafka)
    consumer = AIOKafkaConsumer(**options, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await connected(consumer, target.settings.kafka)
        with broker_named(target.bootstrap_servers):
            begun, lost.may_lack = await _begun(consumer, ends, since)
            async for records in _until(consumer, begun, ends, target.bootstrap_servers):
                read += len(records)
                lost.note((dict(r.headers).get(_TYPE_HEADER), r.value) for r in records)
                tell(read)
    finally:
        await disconnected(consumer)
    return lost


async def _until(
    consumer: AIOKafkaConsumer,
    left: Sequence[TopicPartition],
    ends: Mapping[TopicPartition, int],
    servers: str,
    *,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Sequence[ConsumerRecord]]:
    """The records of these partitions, batch by batch, until their ends.

    Raises:
        OperatorError: the broker has not brought anything for a long time.
    """
    heard = monotonic()
    while left:
        batches = await consumer.getmany(*left, timeout_ms=1000, max_records=_AT_ONCE)
        for records in batches.values():
            yield records
        left = [partition for partition in left if await consumer.position(partition) < ends[partition]]
        if batches:
            heard = monotonic()
        elif left and monotonic() - heard > _SILENCE_SECONDS:
            raise OperatorError(f"the broker at {servers} stopped answering; see that it is up, and try again")


async def _begun(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], since: int
) -> tuple[Sequence[TopicPartition], bool]:
    """Go to the first record since then; answers the partitions that have one, and whether any may have lost some."""
    if not ends:
        return [], False
    first = await consumer.beginning_offsets(list(ends))
    found = await consumer.offsets_for_times(dict.fromkeys(ends, since))
    starts = {p: end if (start := found.get(p)) is None else start.offset for p, end in ends.items()}
    begun = {p: start for p, start in starts.items() if start < ends[p]}
    consumer.assign(list(begun))
    for partition, offset in begun.items():
        consumer.seek(partition, offset)
    return list(begun), any(may_lack(first[p], starts[p]) for p in ends)
