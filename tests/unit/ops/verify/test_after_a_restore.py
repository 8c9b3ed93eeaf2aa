"""Certificates that were to come back after a restore: whether they did, whoever has completed again by then."""

from shared.contracts.topics import CERTIFICATE_COMMANDS
from shared.verification import Defect, Fate
from tests.support.builders import enrollment_id
from tests.support.certifying import restore
from tests.support.issuer import NOW
from tests.support.verified import CAROL, healthy_run

#: She has not completed the course again yet.
WAITING = enrollment_id(CAROL)


async def test_one_that_came_back_is_recorded_and_one_that_could_not_is_rejected() -> None:
    run = await healthy_run()
    before = (await run.verify()).fates[CERTIFICATE_COMMANDS]
    run.send(restore(WAITING), restore(WAITING, "certificate-later"), restore("enrollment-of-nobody"))
    await run.handle()

    fates = (await run.verify()).fates[CERTIFICATE_COMMANDS]

    assert fates[Fate.RECORDED] == before[Fate.RECORDED] + 1
    assert fates[Fate.REJECTED] == before[Fate.REJECTED] + 2


async def test_one_that_did_not_come_back_or_not_withdrawn_is_named() -> None:
    run = await healthy_run()
    run.send(restore(WAITING))
    await run.handle()
    [nowhere] = run.swallow(restore("enrollment-of-nobody", "certificate-of-nobody"))
    [still_there] = run.swallow(restore(WAITING, revoked_at=NOW))

    found = await run.verify()

    assert found.defects[Defect.SWALLOWED_COMMAND] == 2
    named = {finding.subject for finding in found.listed if finding.kind is Defect.SWALLOWED_COMMAND}
    assert named == {f"{r.topic}:{r.partition}:{r.offset}" for r in (nowhere, still_there)}
