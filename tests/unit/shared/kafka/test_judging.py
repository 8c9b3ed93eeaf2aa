"""Judging records long after they were handled: what their admission alone decides, and what nobody can tell."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.progress.messaging import ACCEPTS
from shared.errors import Transient
from shared.identity import NotAuthenticated, Reason
from shared.identity.key_memory import REMEMBERED_MS
from shared.kafka.judging import RecordJudge
from shared.kafka.records import Received
from shared.verification import Fate, Unjudged, Verdict
from tests.support.builders import command
from tests.support.fake_verifier import FakeVerifier
from tests.support.issuer import NOW
from tests.support.key_set import FakeClock


async def recorded(batch: Sequence[Received[Any]]) -> list[Verdict]:
    return [Verdict(Fate.RECORDED, "recorded") for _ in batch]


def judge(verifier: FakeVerifier, *, now: int = NOW) -> RecordJudge:
    return RecordJudge("progress", ACCEPTS, verifier, FakeClock(now), recorded)


async def test_without_a_key_set_nobody_is_judged(verifier: FakeVerifier) -> None:
    verifier.away = True
    with pytest.raises(Transient):
        await judge(verifier).judge([command("lesson-1")])


@pytest.mark.parametrize(
    ("later", "verdict"),
    [
        (REMEMBERED_MS, Verdict(Fate.REJECTED, "not_authenticated")),
        (REMEMBERED_MS + 1, Verdict(Fate.UNDECIDABLE, Unjudged.KEY_FORGOTTEN)),
    ],
    ids=["remembered", "forgotten"],
)
async def test_a_token_whose_key_may_be_forgotten_by_now_cannot_be_judged(
    verifier: FakeVerifier, monkeypatch: pytest.MonkeyPatch, later: int, verdict: Verdict
) -> None:
    monkeypatch.setattr(verifier, "_judge", lambda _: NotAuthenticated(Reason.UNKNOWN_KEY))

    [judged] = await judge(verifier, now=NOW + later).judge([command("lesson-1")])

    assert judged.verdict == verdict


async def test_a_record_that_no_broker_stamped_is_judged_by_its_own_time(verifier: FakeVerifier) -> None:
    [judged] = await judge(verifier, now=NOW + 9).judge([command("lesson-1", timestamp=NOW, timestamp_type=0)])

    assert judged.at == NOW
