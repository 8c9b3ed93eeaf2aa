"""A verification names each kind of defect that is planted in a healthy run, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ops.verify.findings import Finding
from shared.verification import Defect
from tests.support.planting import PLANTED, Planted
from tests.support.verified import CAROL, LESSONS, asked, healthy_run


@pytest.mark.parametrize("planted", PLANTED, ids=[p.kind.value for p in PLANTED])
async def test_a_planted_defect_is_named(planted: Planted) -> None:
    run = await healthy_run()
    subject = planted.plant(run)

    findings = await run.verify(settled=planted.kind is Defect.UNSETTLED)

    named = [finding.subject for finding in findings.listed if finding.kind is planted.kind]
    assert [one for one in named if subject in one], findings.listed
    assert set(findings.defects) <= {planted.kind, *planted.also}, findings.listed
    assert not findings.healthy


def test_every_kind_is_planted() -> None:
    assert {planted.kind for planted in PLANTED} == set(Defect)


async def test_all_kinds_at_once_are_all_named() -> None:
    run = await healthy_run()
    for kind in {planted.kind: planted for planted in PLANTED}.values():
        if kind.kind is not Defect.MISSING_CERTIFICATE:  # the certificate that others of them need
            kind.plant(run)

    findings = await run.verify(settled=True)

    assert set(Defect) - set(findings.defects) <= {Defect.MISSING_CERTIFICATE}


async def test_two_dead_letters_of_one_death_that_differ_are_named() -> None:
    run = await healthy_run()
    run.log.add(replace(run.stand("progress.deadletters")[0], value=b"something else"))

    findings = await run.verify()

    assert [(finding.kind, "its copies differ" in finding.note) for finding in findings.listed] == [
        (Defect.DEAD_LETTER_ALTERED, True)
    ]


async def test_every_defect_is_counted_and_some_are_listed() -> None:
    run = await healthy_run()
    run.swallow(*(asked(CAROL, LESSONS[0]) for _ in range(5)))

    findings = await run.verify(limit=2)

    assert findings.defects[Defect.SWALLOWED_COMMAND] == 5
    listed = [finding for finding in findings.listed if finding.kind is Defect.SWALLOWED_COMMAND]
    assert len(listed) == 2
    assert all(isinstance(finding, Finding) for finding in listed)


async def test_a_swallowed_command_that_was_answered_as_recorded_says_so() -> None:
    run = await healthy_run()
    run.log.create("progress.replies.web")
    sent = run.send(asked(CAROL, LESSONS[0], headers=[("reply-to", b"progress.replies.web")]))
    await run.handle()
    del run.progress.facts[CAROL, LESSONS[0]]

    findings = await run.verify()

    [swallowed] = [finding for finding in findings.listed if finding.kind is Defect.SWALLOWED_COMMAND]
    assert swallowed.subject.endswith(f":{sent[0].offset}")
    assert "answered as recorded" in swallowed.note
    written = datetime.fromtimestamp(sent[0].timestamp / 1000, UTC)
    assert f"written {written.isoformat(timespec='seconds')}" in swallowed.note, "from when on is it to be rewound?"
