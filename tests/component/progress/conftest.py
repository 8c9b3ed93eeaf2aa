"""Progress as its composition root wires it, with a store in memory, real tokens, and a log in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest
from prometheus_client import CollectorRegistry

from services.progress.app import build_app
from services.progress.settings import Settings
from shared.kafka.assembly import KafkaSide
from shared.service import Service
from shared.settings import AuthSettings, MongoSettings
from tests.support.builders import catalog, signed_token
from tests.support.fake_log import FakeLog
from tests.support.fakes_progress import FakeProgressStore
from tests.support.issuer import AUDIENCE, ISSUER, Signer, rsa_signer
from tests.support.key_set import FakeClock, FakeMemory
from tests.support.process import Process

LESSONS = [f"lesson-{number}" for number in range(1, 11)]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def store() -> FakeProgressStore:
    """Two learners; `course-1` with ten lessons, `course-2` with one."""
    return catalog({"course-1": LESSONS, "course-2": ["other-1"]}, learners=("learner-1", "learner-2"))


@pytest.fixture
def issuer() -> Signer:
    return rsa_signer()


@pytest.fixture
async def service(
    store: FakeProgressStore,
    issuer: Signer,
    clock: FakeClock,
    registry: CollectorRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Service]:
    """The wired service with its keys; no broker, no database."""
    monkeypatch.setattr("shared.resources.MongoKeyMemory", lambda *_: FakeMemory())
    monkeypatch.setattr("shared.kafka.consume.backoff", lambda _: 0.0)
    jwks = tmp_path / "jwks.json"
    jwks.write_bytes(orjson.dumps({"keys": [issuer.jwk]}))
    settings = Settings(
        auth=AuthSettings(jwks=str(jwks), issuer=ISSUER, audience=AUDIENCE), mongo=MongoSettings(timeout_ms=100)
    )
    wired = build_app(settings, store=store, clock=clock, registry=registry)
    _, keys = wired.resources
    async with keys():
        yield wired


@pytest.fixture
async def http(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """The service's HTTP side; an error of its own is an answer, as over the network."""
    transport = httpx.ASGITransport(app=service.http, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://progress") as client:
        yield client


@pytest.fixture
def learner(issuer: Signer) -> dict[str, str]:
    """The headers of learner-1."""
    return {"authorization": signed_token(issuer).decode()}


@pytest.fixture
def log(clock: FakeClock) -> FakeLog:
    made = FakeLog(clock, partitions=2)
    made.create("progress.replies.web")
    return made


@pytest.fixture
def process(service: Service, log: FakeLog, clock: FakeClock) -> Process:
    """The service's consuming side over the log."""
    wired = service.consuming
    assert isinstance(wired, KafkaSide)
    return Process(
        log,
        accepts=wired._accepts,
        handler=wired._handler,
        observer=wired._observer,
        verifier=wired._verifier,
        clock=clock,
    )
