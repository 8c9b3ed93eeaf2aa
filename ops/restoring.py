"""Certificates that a restored database lacks: what the topic of issued ones still says of them, as commands."""

import asyncio
import secrets
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition

from ops.conversation import command_headers
from ops.failures import broker_named
from ops.offsets import GroupOffsets
from ops.target import Target
from shared.contracts.certificates import CertificateIssued, CertificateRevoked
from shared.contracts.operators import CertificateRestore
from shared.contracts.topics import CERTIFICATE_COMMANDS, CERTIFICATE_ISSUED
from shared.kafka.connection import client_options, connected

_AT_ONCE = 1000
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
    consumer = AIOKafkaConsumer(**client_options(target.settings.kafka), enable_auto_commit=False)
    try:
        await connected(consumer, target.settings.kafka)
        with broker_named(target.bootstrap_servers):
            left = await _begun(consumer, ends, since)
            while left:
                batches = await consumer.getmany(*left, timeout_ms=1000, max_records=_AT_ONCE)
                for records in batches.values():
                    read += len(records)
                    _note(found, ((dict(r.headers).get(_TYPE_HEADER), r.value) for r in records))
                left = [p for p in left if await consumer.position(p) < ends[p]]
                tell(read)
    finally:
        await consumer.stop()
    return list(found.values())


async def send(target: Target, lost: Iterable[CertificateRestore]) -> None:
    """Send the commands; done when the broker has all of them.

    Raises:
        OperatorError: it has not; those it has will be handled.
    """
    token = target.operator_token()
    # An id of its own for every command: two restores are no repetition of each other.
    sending = secrets.token_hex(8)
    async with target.producer() as producer:
        acknowledged = []
        for one in lost:
            headers = command_headers(type(one), token, command_id=f"restore:{sending}:{one.certificate_id}")
            key = one.enrollment_id.encode()
            acknowledged.append(await producer.send(CERTIFICATE_COMMANDS, one.to_json(), key, headers=headers))
        await asyncio.gather(*acknowledged)


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
