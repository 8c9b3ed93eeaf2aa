"""`certificates restore` waits for what certificates answers, and says which of them did not come back."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from ops import offsets, restoring
from ops.commands import rewinding
from ops.development import DevelopmentIdentity, SigningAlgorithm
from ops.restoring import Lost
from ops.target import Target
from shared.contracts.operators import CertificateRestore
from tests.support.issuer import NOW
from tests.unit.ops.conftest import Command

SINCE = ("certificates", "restore", "--since", "2026-01-31T03:00:00Z")
THERE: tuple[str, dict[str, object]] = ("certificate.requested.v1", {"certificateId": "c", "status": "issued"})
REFUSED: tuple[str, dict[str, object]] = ("command.rejected.v1", {"code": 409, "reason": "Another certificate exists"})


@dataclass
class System:
    """A broker, and a certificates that answers what a test says, one answer for each command, in order."""

    answers: list[tuple[str, dict[str, object]]]
    members: int = 1
    sent: list[dict[str, bytes]] = field(default_factory=list)
    _replies: list[Any] = field(default_factory=list)

    async def send(self, _: str, __: bytes, ___: bytes, *, headers: Sequence[tuple[str, bytes]]) -> Any:
        self.sent.append(dict(headers))
        if self.answers and "correlation-id" in self.sent[-1]:
            kind, data = self.answers.pop(0)
            told = [("ce_type", kind.encode()), ("correlation-id", self.sent[-1]["correlation-id"])]
            strangers = [("ce_type", kind.encode()), ("correlation-id", b"of somebody else")]
            value = json.dumps(data).encode()
            self._replies += [SimpleNamespace(headers=h, value=value) for h in (strangers, told)]
        return _done()

    async def getmany(self, **_: int) -> dict[str, list[Any]]:
        replies, self._replies = self._replies, []
        return {"progress.replies": replies} if replies else {}


async def _done() -> None:
    """The broker has it."""


def lost(n: int) -> CertificateRestore:
    place = {"enrollment_id": f"enrollment-{n}", "user_id": "u", "course_id": "c"}
    return CertificateRestore(certificate_id=f"certificate-{n}", issued_at=NOW, revoked_at=None, **place)


@pytest.fixture
def system(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """Two certificates are lost."""
    made = System([THERE, THERE])
    identity = DevelopmentIdentity.create(tmp_path, algorithm=SigningAlgorithm.ES256)
    monkeypatch.setenv("LESSON_PROGRESS_AUTH__JWKS", str(identity.key_set))

    async def lost_certificates(*_: object) -> Lost:
        return Lost({one.certificate_id: one for one in (lost(1), lost(2))})

    @asynccontextmanager
    async def opened(*_: object) -> AsyncIterator[System]:
        yield made

    class Offsets:
        def __init__(self, _: Target) -> None:
            """Nothing is opened."""

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            """Nothing is closed."""

        async def members(self, service: str) -> int:
            assert service == "certificates"
            return made.members

    monkeypatch.setattr(restoring, "lost_certificates", lost_certificates)
    monkeypatch.setattr(offsets, "GroupOffsets", Offsets)
    monkeypatch.setattr(Target, "reader", opened)
    monkeypatch.setattr(Target, "producer", opened)
    monkeypatch.setattr(rewinding, "_PATIENCE_SECONDS", 0.05)
    return made


@pytest.mark.usefixtures("system")
def test_what_came_back_is_counted(command: Command) -> None:
    ended = command(*SINCE, "--yes")

    assert (ended.code, "2 certificates asked for; there: 2, refused: 0." in ended.out) == (0, True), ended.err


def test_what_was_refused_is_named_and_no_success(command: Command, system: System) -> None:
    system.answers = [THERE, REFUSED]

    ended = command(*SINCE, "--yes", "--json")

    assert ended.code == 1
    assert "refused: certificate-2 of enrollment-2: 409 Another certificate exists" in ended.err
    assert "1 of 2 were refused" in ended.err
    assert json.loads(ended.out)["refused"] == [
        {"enrollmentId": "enrollment-2", "certificateId": "certificate-2"} | REFUSED[1]
    ]


def test_what_nobody_answers_is_no_success(command: Command, system: System) -> None:
    system.answers = [THERE]

    ended = command(*SINCE, "--yes")

    assert ended.code == 1
    assert "1 of 2 are not answered" in ended.err
    assert "a command that was sent stays in its topic and will be handled" in ended.err


def test_while_certificates_is_stopped_nobody_is_waited_for(command: Command, system: System) -> None:
    system.members = 0

    ended = command(*SINCE, "--yes", "--json")

    assert ended.code == 0
    assert "2 certificates asked for. Certificates is not running: start it alone" in ended.err
    assert json.loads(ended.out)["answered"] is None
    assert len(system.sent) == 2


def test_without_a_yes_nothing_is_sent(command: Command, system: System) -> None:
    ended = command(*SINCE)

    assert (ended.code, system.sent) == (0, [])
    assert "2 certificates would be asked for" in ended.out
