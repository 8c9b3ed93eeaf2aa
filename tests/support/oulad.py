"""Files of the Open University: those of the examples, and schools that are made up in their form."""

from collections.abc import Iterable, Sequence
from pathlib import Path

OULAD = Path(__file__).parents[2] / "examples" / "oulad"
#: The course with the fewest completions.
SMALLEST = "AAA-2014J"
#: Every course is of this presentation.
_PRESENTATION = "2013J"

#: A lesson, who completes it, and on which day of the course.
Completed = tuple[str, str, int]


def write_school(
    folder: Path, *, course: str, lessons: Sequence[str], learners: Sequence[str], completed: Iterable[Completed]
) -> Path:
    """Write a school of one course into this new folder; answers the folder.

    Ids of lessons and learners are numbers. The course is found as `{course}-2013J`.
    """
    which = f"{course},{_PRESENTATION}"
    tables = {
        "courses.csv": ["code_module,code_presentation,module_presentation_length", f"{which},268"],
        "assessments.csv": [
            "code_module,code_presentation,id_assessment,assessment_type,date,weight",
            *(f"{which},{lesson},TMA,{10 * place},10" for place, lesson in enumerate(lessons)),
        ],
        "studentRegistration.csv": [
            "code_module,code_presentation,id_student,date_registration,date_unregistration",
            *(f"{which},{learner},-10," for learner in learners),
        ],
        "studentAssessment.csv": [
            "id_assessment,id_student,date_submitted,is_banked,score",
            *(f"{lesson},{learner},{day},0,70" for lesson, learner, day in completed),
        ],
    }
    folder.mkdir()
    for name, lines in tables.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder
