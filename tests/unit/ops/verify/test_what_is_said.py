"""What a verification says at its end is no more than what it found."""

from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from ops.commands import verifying
from ops.verify.findings import Findings
from ops.verify.report import show
from shared.verification import Defect, Unjudged
from tests.unit.ops.conftest import Command

WHOLE = "Nothing is wrong: every record ended once"
IN_PART = "Nothing is wrong in what has ended and can be judged"


def unread(findings: Findings) -> None:
    findings.cannot_judge(Unjudged.UNREADABLE_PARTITION, 7)


def unfinished(findings: Findings) -> None:
    findings.unfinished_yet("events", "e")


def forgotten(findings: Findings) -> None:
    findings.cannot_judge(Unjudged.OLDER_THAN_TOPIC)


def nothing(_: Findings) -> None:
    """All is well."""


@pytest.mark.parametrize(
    ("found", "sentence"), [(nothing, WHOLE), (unread, IN_PART), (unfinished, IN_PART), (forgotten, IN_PART)]
)
def test_nobody_is_told_that_every_record_ended_where_some_have_not_or_cannot_be_judged(
    found: Callable[[Findings], None], sentence: str
) -> None:
    findings, out = Findings(), StringIO()
    found(findings)

    show(findings, Console(file=out, width=200))

    assert sentence in out.getvalue()


@pytest.mark.parametrize(
    ("found", "code", "sentence"),
    [
        (forgotten, 0, ""),
        (unread, 1, "7 records could not be read, and nothing is known of them: see that every broker is up"),
        (lambda findings: findings.defect(Defect.LOST_EVENT, "e"), 1, "1 defects: lost_event 1"),
    ],
    ids=["forgotten", "unread", "a defect"],
)
def test_a_run_that_was_not_read_to_its_end_is_not_passed(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    found: Callable[[Findings], None],
    code: int,
    sentence: str,
) -> None:
    async def verify(_: object, findings: Findings, __: object) -> float:
        found(findings)
        return 1.0

    monkeypatch.setattr(verifying, "_verify", verify)

    ended = command("verify", "--json")

    assert (ended.code, sentence in ended.err) == (code, True)
