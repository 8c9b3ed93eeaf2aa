"""What a row of each file of the Open University Learning Analytics Dataset must look like."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, StringConstraints
from pydantic_core import PydanticCustomError

from ops.platform.csv_tables import Row
from ops.platform.problems import worded

_DAYS: Final = re.compile(r"-?[0-9]{1,4}")
#: The month whose first day is day 0 of a presentation, by the letter after its year.
_START_MONTHS: Final = {"B": 2, "J": 10}


def _days(text: str) -> int:
    if not _DAYS.fullmatch(text):
        raise PydanticCustomError("days", "Must be a whole number of days, at most 9999")
    return int(text)


def _days_or_none(text: str) -> int | None:
    return _days(text) if text else None


Module = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,40}$"), worded("Must be 1 to 40 letters and digits without accents")
]
Presentation = Annotated[
    str, StringConstraints(pattern=r"^20[0-9]{2}[BJ]$"), worded("Must be a year from 2000 on and B or J, such as 2013J")
]
Number = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}$"), worded("Must be a number of 1 to 18 digits")]
Kind = Annotated[Literal["TMA", "CMA", "Exam"], worded("Must be TMA, CMA or Exam")]
#: Days from the start of the course.
Days = Annotated[int, BeforeValidator(_days)]
DaysOrNone = Annotated[int | None, BeforeValidator(_days_or_none)]


class PresentationRow(Row):
    """A row that names a presentation of a module: what we call a course."""

    code_module: Module
    code_presentation: Presentation

    @property
    def course_id(self) -> str:
        """The id of the course, such as `AAA-2013J`."""
        return f"{self.code_module}-{self.code_presentation}"

    @property
    def day_zero(self) -> datetime:
        """Its first day: 1 February or 1 October of the year in its name."""
        year, letter = int(self.code_presentation[:4]), self.code_presentation[4]
        return datetime(year, _START_MONTHS[letter], 1, tzinfo=UTC)


class CourseRow(PresentationRow):
    """A presentation itself."""


class AssessmentRow(PresentationRow):
    """Something that learners hand in: what we call a lesson. An exam may have no `date`."""

    id_assessment: Number
    assessment_type: Kind
    date: DaysOrNone


class RegistrationRow(PresentationRow):
    """A learner in a presentation: what we call an enrollment. Without a date it counts from day 0."""

    id_student: Number
    date_registration: DaysOrNone


class SubmissionRow(Row):
    """A learner handed in an assessment: what we call a completion."""

    id_assessment: Number
    id_student: Number
    date_submitted: Days
