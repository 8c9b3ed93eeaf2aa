"""What is wrong with an import, in sentences that say file, line and field."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from ops.errors import OperatorError

#: An import is given up at this many problems: more do not help whoever repairs the files.
MOST_PROBLEMS: Final = 20

#: Sentences for errors whose own message speaks of Python or of a line inside the line.
_SENTENCES: Final = {"json_invalid": "Is not JSON", "model_type": "Must be a JSON object", "missing": "Is missing"}


@dataclass(frozen=True, slots=True)
class ImportProblem:
    """One reason to refuse an import; `line` counts from 1, both places are None where they make no sense."""

    file: str
    line: int | None
    field: str | None
    sentence: str

    def __str__(self) -> str:
        line = None if self.line is None else f"line {self.line}"
        return ", ".join(place for place in (self.file, line, self.field) if place) + f": {self.sentence}"


class ImportRefused(OperatorError):
    """The import is wrong, and nothing of it was written; `problems` holds the first twenty reasons."""

    def __init__(self, problems: Sequence[ImportProblem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class ImportInterrupted(OperatorError):
    """The database did not take the whole import; what it took is right, and the same import can run again."""


class Problems:
    """Collects problems, so that one reading of the files tells about many."""

    def __init__(self) -> None:
        self._found: list[ImportProblem] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, problem: ImportProblem) -> None:
        """Note a problem.

        Raises:
            ImportRefused: this was the last one worth collecting.
        """
        self._found.append(problem)
        if len(self._found) == MOST_PROBLEMS:
            self.refuse_if_any()

    def add_all(self, problems: Iterable[ImportProblem]) -> None:
        """Note several problems, as `add` does."""
        for problem in problems:
            self.add(problem)

    def add_invalid(self, file: str, line: int, error: ValidationError) -> None:
        """Note each field that pydantic found wrong in one line."""
        for detail in error.errors(include_url=False, include_input=False):
            field = ".".join(str(part) for part in detail["loc"]) or None
            self.add(ImportProblem(file, line, field, _SENTENCES.get(detail["type"], detail["msg"])))

    def refuse_if_any(self) -> None:
        """End the import here unless everything was right so far.

        Raises:
            ImportRefused: there is a problem.
        """
        if self._found:
            raise ImportRefused(self._found)


def worded(sentence: str) -> WrapValidator:
    """Let a type's own rule stand, and say `sentence` where a value breaks it."""

    def validate(value: object, validated: ValidatorFunctionWrapHandler) -> Any:  # whatever the type makes of it
        try:
            return validated(value)
        except ValidationError:
            raise PydanticCustomError("worded", "{sentence}", {"sentence": sentence}) from None

    return WrapValidator(validate)
