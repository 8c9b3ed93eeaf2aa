"""What the topic of issued certificates says of those that a restored database lacks; reading it ends in any case."""

from collections.abc import Mapping, Sequence
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition

from ops.errors import OperatorError
from ops.restoring import Lost, _begun, _until
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


def restores(*records: tuple[bytes | None, bytes]) -> Sequence[CertificateRestore]:
    lost = Lost()
    lost.note(records)
    return lost.certificates


def test_a_certificate_is_restored_with_its_latest_state() -> None:
    kept, withdrawn = restores(issued(), issued("certificate-2"), revoked("certificate-2"))

    assert (kept.certificate_id, kept.issued_at, kept.revoked_at) == ("certificate-1", NOW, None)
    assert (withdrawn.certificate_id, withdrawn.issued_at, withdrawn.revoked_at) == ("certificate-2", NOW, NOW + 5)


def test_a_copy_that_comes_late_takes_no_revocation_back() -> None:
    [one] = restores(issued(), revoked(), issued())
    assert one.revoked_at == NOW + 5


def test_one_that_was_only_withdrawn_since_then_is_still_stored_and_has_no_command() -> None:
    assert restores(revoked(), (None, b"of another kind")) == []


@pytest.mark.parametrize("value", [b"{", b"", None, b'{"certificateId": "secret"}', b"\xff"])
def test_a_record_that_nobody_can_read_is_counted_and_stops_nobody(value: bytes | None) -> None:
    lost = Lost()
    lost.note([issued(), *((kind.TYPE.encode(), value) for kind in (CertificateIssued, CertificateRevoked)), revoked()])

    assert [(one.certificate_id, one.revoked_at) for one in lost.certificates] == [("certificate-1", NOW + 5)]
    assert lost.unreadable == 2


class Topic:
    """One partition that holds the records from `first` to 99, and the first of them since a moment."""

    def __init__(self, first: int, since: int | None) -> None:
        self._first = first
        self._since = since
        self.begins: dict[TopicPartition, int] = {}

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self._first)

    async def offsets_for_times(self, moments: Mapping[TopicPartition, int]) -> dict[TopicPartition, object]:
        return dict.fromkeys(moments, None if self._since is None else SimpleNamespace(offset=self._since))

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self.begins = dict.fromkeys(partitions, 0)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.begins[partition] = offset


@pytest.mark.parametrize(
    ("first", "since", "expected"),
    [
        (0, 0, ({ISSUED: 0}, False)),
        (40, 60, ({ISSUED: 60}, False)),
        (40, None, ({}, False)),
        (40, 40, ({ISSUED: 40}, True)),
        (100, None, ({}, True)),
    ],
    ids=["all is there", "the moment is there", "nothing since then", "it begins later", "nothing is left"],
)
async def test_a_topic_that_begins_later_than_what_is_asked_for_is_not_taken_for_all_of_it(
    first: int, since: int | None, expected: tuple[Mapping[TopicPartition, int], bool]
) -> None:
    topic = Topic(first, since)
    begun, may_lack = await _begun(cast("Any", topic), {ISSUED: 100}, NOW)
    assert (topic.begins, may_lack) == expected
    assert begun == list(topic.begins)
