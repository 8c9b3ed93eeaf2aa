"""A verification's result, for people."""

from rich.console import Console
from rich.table import Table

from ops.tables import exact, print_table
from ops.verify.findings import CANNOT_BE_JUDGED, SWALLOWED, UNFINISHED, Findings
from shared.verification import Fate

_FATES = (Fate.RECORDED.value, Fate.REJECTED.value, Fate.DEAD_LETTER.value, UNFINISHED, SWALLOWED, CANNOT_BE_JUDGED)


def show(findings: Findings, out: Console) -> None:
    """Print how records ended, what was looked at, and what is wrong."""
    headings = ("topic", *(name.replace("_", " ") for name in _FATES))
    fates = Table(*map(exact, headings), title="How records ended", title_justify="left")
    for topic, counted in sorted(findings.fates.items()):
        fates.add_row(topic, *(f"{counted[name]:,}" if counted[name] else "" for name in _FATES))
    if findings.fates:
        print_table(fates, out)
    for what, count in sorted(findings.counts.items()):
        out.print(f"{count:>12,}  {what.replace('_', ' ')}")
    for what, count in sorted(findings.unfinished.items()):
        out.print(f"{count:>12,}  {what} on their way", soft_wrap=True)
    for reason, count in sorted(findings.unjudged.items()):
        out.print(f"{count:>12,}  cannot be judged: {reason.value.replace('_', ' ')}", soft_wrap=True)
    for finding in findings.listed:
        note = f" ({finding.note})" if finding.note else ""
        out.print(f"{finding.kind.value}: {finding.subject}{note}", soft_wrap=True)
    unlisted = findings.defects.total() - len(findings.listed)
    if unlisted:
        out.print(f"and {unlisted:,} more; --listed shows more of each kind, --json counts them by kind")
    if findings.healthy:
        out.print(_healthy(findings), soft_wrap=True)


def _healthy(findings: Findings) -> str:
    if findings.unjudged or findings.unfinished:
        return "Nothing is wrong in what has ended and can be judged; what has not, or cannot, is counted above."
    return "Nothing is wrong: every record ended once, and everything follows from the facts."
