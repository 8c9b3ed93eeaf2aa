"""What a replay found, and whether that is what the files say."""

from dataclasses import dataclass, field

from ops.platform.counting import ExpectedFigures
from ops.platform.datasets import Dataset
from ops.repair.auditing import auditing
from ops.replay.figures import Figures, read_figures
from ops.replay.watching import Watch, percentiles
from ops.target import Target


@dataclass(slots=True)
class Result:
    """What a replay found."""

    expected: ExpectedFigures
    figures: Figures
    watch: Watch
    drift: int
    dead_letters: int
    #: From the first command to the last commit, in seconds.
    seconds: float
    problems: list[str] = field(default_factory=list)

    def report(self) -> dict[str, object]:
        """The figures as JSON, as `--report` writes them."""
        return {
            "completions": self.figures.completions,
            "certificates": self.figures.certificates,
            "partial": self.figures.partial,
            "zero": self.figures.zero,
            "drift": self.drift,
            "dead_letters": self.dead_letters,
            "propagation_seconds": {stage: percentiles(v) for stage, v in self.watch.seconds.items()},
            "distinct_certificate_ids": self.figures.distinct_certificate_ids,
            "readable_pdfs": self.figures.readable_pdfs,
            "notifications": dict(self.figures.notifications),
            "percentages": {str(p): n for p, n in sorted(self.figures.percentages.items())},
            "commands": self.watch.sent,
            "answered": self.watch.answered,
            "sent_again": self.watch.sent_again,
            "replies": dict(self.watch.replies),
            "seconds": round(self.seconds, 3),
            "fingerprint": self.figures.fingerprint,
            "problems": self.problems,
        }


async def judge(
    target: Target, dataset: Dataset, expected: ExpectedFigures, watch: Watch, dead_letters: int, seconds: float
) -> Result:
    """Compare what is in the database, and what was seen on the way, with what the files say."""
    async with target.database() as db:
        figures = await read_figures(db, courses=[course.id for course in dataset.platform.courses])
    drift = 0
    async with auditing(target) as audit:
        async for finding in audit.findings():
            # A certificate that failed is no drift: it waits for a person, and the figures show that it is missing.
            drift += finding.remedy is not None
    rendered = target.settings.certificates.rendering
    problems = figures.differences(expected, rendered=rendered)
    if drift:
        problems.append(f"drift: {drift}, expected 0")
    if silent := watch.sent - watch.answered:
        problems.append(f"commands without an answer: {silent}, expected 0")
    if dead_letters:
        problems.append(f"dead letters: {dead_letters}, expected 0")
    return Result(expected, figures, watch, drift, dead_letters, seconds, problems)
