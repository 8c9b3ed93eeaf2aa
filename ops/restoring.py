"""Certificates that a restored database lacks: what the topic of issued ones still says of them, as commands."""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from ops.errors import OperatorError
from ops.failures import broker_named
from ops.offsets import GroupOffsets
from ops.target import Target
from shared.contracts.certificates import CertificateIssued, CertificateRevoked
from shared.contracts.operators import CertificateRestore
from shared.contracts.topics import CERTIFICATE_ISSUED
from shared.kafka.connection import client_options, connected, disconnected

_AT_ONCE = 1000
#: The client waits in silence for a broker that is away; nobody else does for longer than this (seconds).
_SILENCE_SECONDS = 30.0
_TYPE_HEADER = "ce_type"


async def lost_certificates(
    target: Target, since: int, tell: Callable[[int], None] = lambda _: None
) -> list[CertificateRestore]:
    """One command for each certificate that was issued or withdrawn since then (epoch ms), with its latest state.

    One that was only withdrawn since then has no command: it is still stored, and its revocation stands in the topic of
    commands. `tell` hears how many records were read.

    Raises:
        OperatorError: no broker answers, or it failed.
    """
    found: dict[str, CertificateRestore] = {}
    read = 0
    async with GroupOffsets(target) as offsets:
        ends = await offsets.ends([CERTIFICATE_ISSUED])
    # What its age takes from the topic while it is read is skipped, and no more than that.
    options = client_options(target.settings.kafka)
    consumer = AIOKafkaConsumer(**options, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await connected(consumer, target.settings.kafka)
        with broker_named(target.bootstrap_servers):
            begun = await _begun(consumer, ends, since)
            async for records in _until(consumer, begun, ends, target.bootstrap_servers):
                read += len(records)
                _note(found, ((dict(r.headers).get(_TYPE_HEADER), r.value) for r in records))
                tell(read)
    finally:
        await disconnected(consumer)
    return list(found.values())


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


async def _begun(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int], since: int) -> list[TopicPartition]:
    """Go to the first record since then; answers the partitions that have one."""
    starts = await consumer.offsets_for_times(dict.fromkeys(ends, since)) if ends else {}
    begun = {p: start.offset for p, start in starts.items() if start is not None and start.offset < ends[p]}
    consumer.assign(list(begun))
    for partition, offset in begun.items():
        consumer.seek(partition, offset)
    return list(begun)


def _note(found: dict[str, CertificateRestore], records: Iterable[tuple[bytes | None, bytes]]) -> None:
    for kind, value in records:
        if kind == CertificateIssued.TYPE.encode():
            issued = CertificateIssued.from_json(value)
            withdrawn = found[issued.certificate_id].revoked_at if issued.certificate_id in found else None
            found[issued.certificate_id] = CertificateRestore(
                certificate_id=issued.certificate_id,
                enrollment_id=issued.enrollment_id,
                user_id=issued.user_id,
                course_id=issued.course_id,
                issued_at=issued.issued_at,
                revoked_at=withdrawn,
            )
        elif kind == CertificateRevoked.TYPE.encode():
            revoked = CertificateRevoked.from_json(value)
            if (issued_before := found.get(revoked.certificate_id)) is not None:
                found[revoked.certificate_id] = issued_before.model_copy(update={"revoked_at": revoked.revoked_at})
