"""What an operator is told when a command cannot do its work."""


class OperatorError(Exception):
    """One clear sentence that says what is wrong and what to do about it; the command ends with exit code 1."""
