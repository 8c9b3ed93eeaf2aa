"""What a backlog on a slow database has shown: its figures with what they ought to be, and what was wrong."""

from collections.abc import Sequence
from statistics import median

from ops.stacks import SERVICES
from tests.bench.figures import Bar, Figure
from tests.faults.endurance.others import Others
from tests.faults.endurance.sampling import IN_TIME_SECONDS, Sample, Samples, memory

#: How long the database says nothing (s).
SILENT_SECONDS = 15.0
_FLAT_PERCENT = 10.0
_HOW_MEMORY = (
    "resident memory with helpers, sampled every second; the slope is of a line through the second half of the phase, "
    "and the figure that line's rise in percent of its mean"
)
_HOW_READY = (
    "samples in which a service said 503 though the database answered this trial, by the same way, within "
    f"{IN_TIME_SECONDS:g} s just before and just after"
)
_HOW_SILENT = f"no answer of the database passes for {SILENT_SECONDS:g} s: services that said 503 meanwhile"
_HOW_SERVED = (
    "while the database is slow, one command a second from learners whose partition the backlog leaves out: the share "
    "that was answered in the same phase"
)
_HOW_LEFT = (
    "records that no service had handled when the time for draining was up, none or the trial has failed; what is "
    "stored is compared when none is"
)
_HOW_HELD = "resident memory with helpers, at the first sample with the brake on and at the last of all"
_HOW_PACE = "commands that progress handles a second, as the lag in its metrics falls"
_HOW_LAG = "records still to be handled by all three services, as their metrics say: by how many fewer a second"


def undrained(samples: Samples) -> list[str]:
    """How the backlog was not handled once the brake was off, in sentences; none when all of it was."""
    before, left = samples.phases["silent"][-1].left, samples.phases["fast"][-1].left
    problems = []
    if left:
        problems.append(f"{left:,} records were left when the time for draining was up")
    if not before:
        problems.append("nothing was left to do when the brake came off: the backlog was too small to show anything")
    elif left >= before:
        problems.append(f"the lag has not fallen since the brake came off: it was {before:,} records")
    return problems


def figures(samples: Samples, others: Others) -> list[Figure]:
    """What was measured while the database was slow, silent, and itself again."""
    slow, silent, fast = (samples.phases[name] for name in ("slow", "silent", "fast"))
    dishonest = [s for s in (*slow, *fast) if s.database < IN_TIME_SECONDS and set(s.ready.values()) != {200}]
    refusing = [service for service in SERVICES if any(s.ready[service] == 503 for s in silent)]
    return [
        *(_flat(phase, service, some) for phase, some in (("slow", slow), ("fast", fast)) for service in SERVICES),
        *(_held(service, samples) for service in SERVICES),
        Figure("readiness: 503 without a reason", len(dishonest), "", _HOW_READY, Bar("less than", 1)),
        Figure("readiness: 503 while silent", len(refusing), "services", _HOW_SILENT, Bar("at least", len(SERVICES))),
        Figure(
            "the others' commands answered", round(others.share, 3), "", _HOW_SERVED, Bar("at least", 0.8),
            {"sent": len(others.sent), "median": _median(others.seconds), "longest": max(others.seconds, default=0.0)},
        ),
        Figure("commands a second while slow", _pace(slow, SERVICES[:1]), "1/s", _HOW_PACE),
        Figure("commands a second afterwards", _pace(fast, SERVICES[:1]), "1/s", _HOW_PACE),
        Figure("records left", fast[-1].left, "", _HOW_LEFT, details={"when the brake came off": silent[-1].left}),
        Figure("lag falls afterwards", _pace(fast, SERVICES), "1/s", _HOW_LAG),
    ]  # fmt: skip


def _median(seconds: Sequence[float]) -> float:
    return round(median(seconds), 2) if seconds else 0.0


def _flat(phase: str, service: str, samples: Sequence[Sample]) -> Figure:
    held = memory(samples, service)
    return Figure(
        f"{service}, {phase}: rise of memory", round(held.rise, 2), "%", _HOW_MEMORY, Bar("less than", _FLAT_PERCENT),
        {"most MB": round(held.most, 1), "mean MB": round(held.mean, 1), "MB a minute": round(held.slope, 2)},
    )  # fmt: skip


def _held(service: str, samples: Samples) -> Figure:
    first, last = (s.resident.get(service, 0) / 1e6 for s in (samples.phases["slow"][0], samples.phases["fast"][-1]))
    return Figure(
        f"{service}: memory in the end", round(last, 1), "MB", _HOW_HELD,
        details={"MB when the brake was first on": round(first, 1)},
    )  # fmt: skip


def _pace(samples: Sequence[Sample], services: Sequence[str]) -> float:
    """By how many records these services are less behind, a second, from the most until nothing is left.

    The first samples may know of no lag: a service tells its lag every few seconds.
    """
    behind = [(sample.at, sum(sample.behind[service] for service in services)) for sample in samples]
    most = max(range(len(behind)), key=lambda place: behind[place][1])
    (began, at_first), *later = behind[most:]
    ended, left = next((b for b in later if b[1] == 0), behind[-1])
    return round((at_first - left) / (ended - began), 1) if ended > began else 0.0
