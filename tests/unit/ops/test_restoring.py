"""What the topic of issued certificates says of those that a restored database lacks; reading it ends in any case."""

from itertools import count

import pytest
from aiokafka import TopicPartition

from ops.errors import OperatorError
from ops.restoring import _note, _until
from shared.contracts.certificates import CertificateIssued, CertificateRevoked
from shared.contracts.operators import CertificateRestore
from tests.support.issuer import NOW

ISSUED = TopicPartition("certificate.issued", 0)
PLACE = {"enrollment_id": "enrollment-1", "user_id": "learner-1", "course_id": "course-1"}


class Broker:
    """Brings some records, and then nothing more."""

    def __init__(self, records: int) -> None:
        self._left = records
        self._position = 0

    async def getmany(self, *_: TopicPartition, **__: int) -> dict[TopicPartition, list[str]]:
        if not self._left:
            return {}
        self._left -= 1
        self._position += 1
        return {ISSUED: [f"record {self._position}"]}

    async def position(self, _: TopicPartition) -> int:
        return self._position


async def _read(broker: Broker, *, end: int) -> list[str]:
    seconds = count(step=10)
    batches = _until(broker, [ISSUED], {ISSUED: end}, "broker:9092", monotonic=lambda: float(next(seconds)))
    return [record async for records in batches for record in records]


async def test_a_partition_is_read_to_its_end() -> None:
    assert await _read(Broker(3), end=3) == ["record 1", "record 2", "record 3"]


@pytest.mark.timeout(10)
async def test_a_broker_that_falls_silent_is_not_waited_for_without_end() -> None:
    with pytest.raises(OperatorError, match="broker:9092 stopped answering; see that it is up, and try again"):
        await _read(Broker(1), end=3)


def issued(certificate_id: str = "certificate-1") -> tuple[bytes, bytes]:
    address = f"https://learn.example.org/certificates/{certificate_id}"
    event = CertificateIssued(certificate_id=certificate_id, issued_at=NOW, verification_url=address, **PLACE)
    return event.TYPE.encode(), event.to_json()


def revoked(certificate_id: str = "certificate-1") -> tuple[bytes, bytes]:
    event = CertificateRevoked(certificate_id=certificate_id, revoked_at=NOW + 5, **PLACE)
    return event.TYPE.encode(), event.to_json()


def restores(*records: tuple[bytes | None, bytes]) -> list[CertificateRestore]:
    found: dict[str, CertificateRestore] = {}
    _note(found, records)
    return list(found.values())


def test_a_certificate_is_restored_with_its_latest_state() -> None:
    kept, withdrawn = restores(issued(), issued("certificate-2"), revoked("certificate-2"))

    assert (kept.certificate_id, kept.issued_at, kept.revoked_at) == ("certificate-1", NOW, None)
    assert (withdrawn.certificate_id, withdrawn.issued_at, withdrawn.revoked_at) == ("certificate-2", NOW, NOW + 5)


def test_a_copy_that_comes_late_takes_no_revocation_back() -> None:
    [one] = restores(issued(), revoked(), issued())
    assert one.revoked_at == NOW + 5


def test_one_that_was_only_withdrawn_since_then_is_still_stored_and_has_no_command() -> None:
    assert restores(revoked(), (None, b"of another kind")) == []
