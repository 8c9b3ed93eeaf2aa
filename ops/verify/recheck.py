"""A second look at what was wrong: what has arrived since is right, and what is on its way is no defect."""

from collections.abc import Collection

from ops.verify.findings import Findings
from ops.verify.index import Index
from ops.verify.judges import Judges
from shared.verification import Defect

_PAGE = 500
#: What a second look at the enrollment itself tells.
_OF_PROGRESS = frozenset({Defect.WRONG_PERCENTAGE, Defect.WRONG_COMPLETED_AT})

Flawed = tuple[Defect, str, str]


async def recheck(judges: Judges, index: Index, findings: Findings) -> None:
    """Look at every flaw again and count it as what it is.

    Raises:
        Transient: the database does not answer.
    """
    for rows in index.flaws(_PAGE):
        flaws = [(Defect(kind), subject, enrollment) for kind, subject, enrollment in rows]
        await _page(flaws, judges, index, findings)


async def _page(flaws: Collection[Flawed], judges: Judges, index: Index, findings: Findings) -> None:
    ids = {enrollment for _, _, enrollment in flaws}
    again = await judges.recalculator.again(ids)
    holdings = await judges.certificates.examine(ids)
    courses = {key: examined.enrollment.course_id for key, examined in again.items()}
    waiting = index.pending(ids | set(courses.values()))
    changing = {key for key, examined in again.items() if examined.changing}
    still = {(flaw.kind, flaw.enrollment_id) for holding in holdings for flaw in holding.flaws}
    still |= {(kind, key) for key, examined in again.items() for kind in examined.flaws}
    for kind, subject, enrollment in flaws:
        if kind is not Defect.LOST_EVENT and (kind, enrollment) not in still:
            continue
        if enrollment in changing or {enrollment, courses.get(enrollment, "")} & waiting:
            findings.unfinished_yet("percentages" if kind in _OF_PROGRESS else _what(kind), subject)
        else:
            findings.defect(kind, subject)


def _what(kind: Defect) -> str:
    return "events" if kind is Defect.LOST_EVENT else "certificates and notifications"
