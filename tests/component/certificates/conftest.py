"""Certificates over a log in memory and a store where Ada completed one course."""

import pytest

from tests.support.certifying import Certifying
from tests.support.fake_log import FakeLog
from tests.support.fakes_certificates import FakeCertificateStore, academy
from tests.support.key_set import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def log(clock: FakeClock) -> FakeLog:
    return FakeLog(clock, partitions=2)


@pytest.fixture
def store() -> FakeCertificateStore:
    return academy()


@pytest.fixture
def certificates(log: FakeLog, store: FakeCertificateStore, clock: FakeClock) -> Certifying:
    return Certifying(log, store, clock)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.kafka.consume.backoff", lambda _attempt: 0.0)
