"""What an audit finds, whichever service's rules it breaks, and the ordinary command that heals it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.certificates.inspection import Lack, Lacking
from services.recalculator.inspection import Difference
from shared.contracts.operators import CertificateGenerate, ProgressRecalculate
from shared.contracts.topics import CERTIFICATE_COMMANDS, RECALCULATION_COMMANDS
from shared.contracts.values import Message

#: The recalculator's kind; certificates' are those of `Lack`.
PERCENTAGE = "percentage"


class Remedy(StrEnum):
    """The commands that heal, by their types.

    Recalculating an enrollment that is completed publishes `course.completed.v1` again, and certificates makes and
    tells what is missing. It leaves an issued certificate alone; only making one again brings its PDF back, or a failed
    one forward.
    """

    RECALCULATE = ProgressRecalculate.TYPE
    GENERATE = CertificateGenerate.TYPE

    @property
    def typed(self) -> str:
        """What an operator types to send it for one enrollment."""
        return "recalculate" if self is Remedy.RECALCULATE else "certificates regenerate"

    @property
    def topic(self) -> str:
        """Where it is sent."""
        return RECALCULATION_COMMANDS if self is Remedy.RECALCULATE else CERTIFICATE_COMMANDS

    def command(self, enrollment_id: str) -> Message:
        """The command for this enrollment."""
        kind = ProgressRecalculate if self is Remedy.RECALCULATE else CertificateGenerate
        return kind(enrollment_id=enrollment_id)


_HEALED_BY: Mapping[str, Remedy] = {
    PERCENTAGE: Remedy.RECALCULATE,
    Lack.CERTIFICATE_MISSING: Remedy.RECALCULATE,
    Lack.CERTIFICATE_UNFINISHED: Remedy.RECALCULATE,
    Lack.PDF_MISSING: Remedy.GENERATE,
    Lack.CERTIFICATE_FAILED: Remedy.GENERATE,
    Lack.COURSE_COMPLETED_MISSING: Remedy.RECALCULATE,
    Lack.CERTIFICATE_READY_MISSING: Remedy.RECALCULATE,
}
_GIVEN_BACK = "`certificates restore` may give it back with its id, a new one gets another"
_MAY_BE_LOST = "; a completion may be lost: `lesson-progress verify` says, and `rewind` may bring it back"
_SAYS: Mapping[Lack, Callable[[Lacking], str]] = {
    Lack.CERTIFICATE_MISSING: lambda one: (
        "completed, and has no certificate" + ("" if not one.was_issued else f"; it had one: {_GIVEN_BACK}")
    ),
    Lack.CERTIFICATE_UNFINISHED: lambda _: "its certificate was begun, and neither issued nor given up",
    Lack.PDF_MISSING: lambda one: "the PDF of its certificate is not there" + _last_try(one),
    Lack.CERTIFICATE_FAILED: lambda one: (
        f"its certificate failed ({one.code}), "
        + ("and the cause may be gone" if one.worth_trying else "and waits until you mend the cause")
    ),
    Lack.COURSE_COMPLETED_MISSING: lambda _: "nobody told the learner that the course is completed",
    Lack.CERTIFICATE_READY_MISSING: lambda _: "nobody told the learner that the certificate is ready",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it ought to be. Percentages 0 to 100, moments in epoch ms."""

    kind: str
    enrollment_id: str
    says: str
    #: What heals it; None where a person has to mend something first.
    remedy: Remedy | None
    stored_percent: float | None = None
    expected_percent: float | None = None
    stored_completed_at: int | None = None
    expected_completed_at: int | None = None
    certificate_id: str | None = None
    #: Why its certificate could not be made, the last time it was tried.
    code: str | None = None
    #: What heals it cannot be taken back, and may seal a loss: learners would keep what it makes.
    final: bool = False

    def row(self) -> dict[str, object]:
        """As JSON; the same fields for every kind."""
        return {
            "kind": self.kind,
            "enrollmentId": self.enrollment_id,
            "says": self.says,
            "healedBy": self.remedy,
            "storedPercent": self.stored_percent,
            "expectedPercent": self.expected_percent,
            "storedCompletedAt": self.stored_completed_at,
            "expectedCompletedAt": self.expected_completed_at,
            "certificateId": self.certificate_id,
            "code": self.code,
            "final": self.final,
        }


def of_progress(difference: Difference) -> Finding:
    """What the recalculator's audit found."""
    stored, expected = difference.stored, difference.expected
    says = f"{stored.percent:g} % is stored ({stored.completed} of {stored.total}), and the facts say "
    # A lesson that was taken away leaves fewer to complete; where as many are left, a completion is gone.
    lost = expected.completed < stored.completed and expected.total >= stored.total
    return Finding(
        PERCENTAGE,
        difference.enrollment_id,
        says + f"{expected.percent:g} % ({expected.completed} of {expected.total})" + (_MAY_BE_LOST if lost else ""),
        _HEALED_BY[PERCENTAGE],
        stored_percent=stored.percent,
        expected_percent=expected.percent,
        stored_completed_at=stored.completed_at,
        expected_completed_at=expected.completed_at,
        final=lost,
    )


def of_certificate(lacking: Lacking, *, try_all: bool) -> Finding:
    """What certificates' audit found; with `try_all`, failed certificates are made again whatever the cause."""
    worth_trying = try_all or lacking.worth_trying
    return Finding(
        str(lacking.kind),
        lacking.enrollment_id,
        _SAYS[lacking.kind](lacking),
        _HEALED_BY[lacking.kind] if worth_trying else None,
        certificate_id=lacking.certificate_id,
        code=lacking.code,
        final=lacking.kind is Lack.CERTIFICATE_MISSING and lacking.was_issued,
    )


def _last_try(lacking: Lacking) -> str:
    return "" if lacking.code is None else f"; the last try to make it again failed ({lacking.code})"
