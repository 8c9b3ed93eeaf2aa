"""What an operator is told when a command cannot do its work."""

from typing import ClassVar


class OperatorError(Exception):
    """One clear sentence that says what is wrong and what to do about it; it ends the command."""

    #: The command's exit code.
    exit_code: ClassVar[int] = 1


class Interrupted(OperatorError):
    """The operator pressed Ctrl-C; the sentence says what became of what was under way."""

    exit_code: ClassVar[int] = 130
