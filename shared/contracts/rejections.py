"""The answer "no", the same from every service: an answer, not a failure."""

from dataclasses import dataclass
from typing import ClassVar

from shared.contracts.values import Message


class CommandRejected(Message):
    """A command was refused; its sender hears why and nothing was written."""

    TYPE: ClassVar[str] = "command.rejected.v1"
    code: int
    """Why, as the HTTP status that says the same."""
    reason: str
    """Why, as a sentence in English; it does not change within a major version."""
    lesson_id: str | None = None
    """The lesson of a refused `lesson.complete.v1`; left out where it is not known."""

    def to_json(self) -> bytes:
        """The value bytes; `lessonId` is left out where it is not known."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a command is refused: an HTTP-like code, the sentence for the sender, the word for logs and metrics."""

    code: int
    reason: str
    outcome: str


NOT_AUTHENTICATED = Rejection(401, "Not authenticated", "not_authenticated")
OPERATOR_REQUIRED = Rejection(403, "Operator role required", "operator_required")
INVALID_COMMAND = Rejection(400, "Invalid command", "invalid")
