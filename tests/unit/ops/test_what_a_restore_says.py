"""What `rewind` and `certificates restore` say of what they cannot bring back."""

from dataclasses import replace

import pytest

from ops.commands import rewinding
from ops.restoring import Lost
from ops.rewinding import Rewind
from shared.contracts.certificates import CertificateIssued
from tests.unit.ops.conftest import Command

MOMENT = "2026-01-31T03:00:00Z"
AGED = Rewind("progress.commands", 0, from_offset=70, to_offset=70, records=0, may_lack=True, beyond_end=False)
BEYOND = Rewind("progress.commands", 0, from_offset=500, to_offset=400, records=0, may_lack=False, beyond_end=True)
GONE_SINCE = "Some of these topics begin later than that moment: what came before their beginnings is gone."
GONE = "Some of these topics no longer hold their first records: what came before their beginnings is gone."
NOTHING_SINCE = "Nothing: progress has finished nothing that was written since 2026-01-31T03:00:00+00:00."
NOTHING = "Nothing: progress has finished nothing that its topics still hold."


def _planned(monkeypatch: pytest.MonkeyPatch, *plan: Rewind) -> None:
    async def planned(*_: object, **__: object) -> list[Rewind]:
        return list(plan)

    monkeypatch.setattr(rewinding, "_rewind", planned)


@pytest.mark.parametrize(
    ("arguments", "sentences"),
    [(("--to", MOMENT), (GONE_SINCE, NOTHING_SINCE)), ((), (GONE, NOTHING))],
    ids=["a moment", "no moment"],
)
def test_a_rewind_says_what_is_gone_even_where_nothing_is_left_to_handle_again(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], sentences: tuple[str, str]
) -> None:
    _planned(monkeypatch, AGED)
    ended = command("rewind", "progress", *arguments)
    assert (ended.code, [line for line in sentences if line not in ended.out]) == (0, []), ended.err


def test_a_rewind_says_how_many_records_come_again_and_of_nothing_that_it_is_gone(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    _planned(monkeypatch, replace(AGED, to_offset=40, records=30, may_lack=False))
    ended = command("rewind", "progress")
    assert "progress would handle 30 records again; repeat with --yes to do it." in ended.out
    assert "gone" not in ended.out


def test_a_group_beyond_an_end_is_no_group_that_has_nothing_to_do(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    _planned(monkeypatch, BEYOND)
    ended = command("rewind", "progress", "--to", MOMENT)
    assert "progress.commands, partition 0: 500 is committed, which is beyond its end" in ended.out
    assert "Kafka lost records: go back with --events and without --to" in ended.out
    assert "Nothing" not in ended.out


@pytest.mark.parametrize(
    ("may_lack", "records", "sentence"),
    [
        (True, [], "The topic begins later than that moment: what was issued before its beginning is gone from it."),
        (False, [b"{}", b'{"certificateId": "secret"}'], "Unreadable records that were passed over: 2; "),
    ],
    ids=["gone", "unreadable"],
)
def test_certificates_that_may_be_lacking_are_not_passed_over_in_silence(
    command: Command, monkeypatch: pytest.MonkeyPatch, *, may_lack: bool, records: list[bytes], sentence: str
) -> None:
    lost = Lost(may_lack=may_lack)
    lost.note([(CertificateIssued.TYPE.encode(), value) for value in records])

    async def found(*_: object) -> Lost:
        return lost

    monkeypatch.setattr(rewinding, "_lost", found)
    ended = command("certificates", "restore", "--since", MOMENT)

    assert (ended.code, sentence in ended.out, "secret" in ended.err + ended.out) == (0, True, False), ended.err
