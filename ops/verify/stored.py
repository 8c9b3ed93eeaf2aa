"""What is stored: every fact with the events it asks for, and what is wrong about enrollments and certificates."""

from collections.abc import Callable

from ops.verify import events
from ops.verify.findings import Findings
from ops.verify.index import Index
from ops.verify.judges import Judges
from shared.verification import Defect, Flaw, Unjudged

#: Told of what is done, how much of it, of about how much.
OnProgress = Callable[[str, int, int], None]


async def read_stored(judges: Judges, index: Index, findings: Findings, on_progress: OnProgress) -> None:
    """Read every record, enrollment, certificate and notification, page by page.

    Raises:
        Transient: the database does not answer.
    """
    await _records(judges, index, findings, on_progress)
    await _enrollments(judges, index, findings, on_progress)
    seen = 0
    async for looked_at, flaws in judges.certificates.strays():
        seen += looked_at
        for flaw in flaws:
            _judged_now(flaw, findings)
        on_progress("certificates and notifications", seen, seen)
    findings.counts["certificates_and_notifications"] = seen


async def _records(judges: Judges, index: Index, findings: Findings, on_progress: OnProgress) -> None:
    total = await judges.progress.count()
    async for facts in judges.progress.facts():
        index.add(events.of_facts(facts, "progress"))
        findings.counts["records"] += len(facts)
        on_progress("records", findings.counts["records"], total)


async def _enrollments(judges: Judges, index: Index, findings: Findings, on_progress: OnProgress) -> None:
    total = await judges.recalculator.count()
    async for page in judges.recalculator.enrollments():
        index.add(events.of_facts([judges.recalculator.fact(e.enrollment) for e in page], "recalculator"))
        index.add_pending(e.enrollment.enrollment_id for e in page if e.changing)
        completed = [e.enrollment.enrollment_id for e in page if e.enrollment.progress.completed_at is not None]
        holdings = await judges.certificates.examine(completed) if completed else []
        for holding in holdings:
            index.add(events.of_facts(judges.certificates.facts(holding), "certificates"))
        findings.counts["completed_enrollments"] += len(holdings)
        flaws = [Flaw(k, e.enrollment.enrollment_id, e.enrollment.enrollment_id) for e in page for k in e.flaws]
        for flaw in [*flaws, *(flaw for holding in holdings for flaw in holding.flaws)]:
            if isinstance(flaw.kind, Unjudged):
                findings.cannot_judge(flaw.kind)
            else:
                index.add_flaws([(flaw.kind.value, flaw.subject, flaw.enrollment_id)])
        findings.counts["enrollments"] += len(page)
        on_progress("enrollments", findings.counts["enrollments"], total)


def _judged_now(flaw: Flaw, findings: Findings) -> None:
    """What leads nowhere: a completion is stored before all that follows from it, so nothing is on its way."""
    if isinstance(flaw.kind, Defect):
        findings.defect(flaw.kind, flaw.subject)
    else:
        findings.cannot_judge(flaw.kind)
