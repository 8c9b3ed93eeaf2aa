"""The rule of the percentage, in one place for everyone who states one."""


def progress_percent(completed: int, total: int) -> float:
    """`completed / total * 100` in doubles; 0 when there is nothing to complete."""
    return completed / total * 100 if total else 0.0


def is_done(completed: int, total: int) -> bool:
    """Everything that counts is completed; never judged by a rounded percentage (399 of 400 is not done)."""
    return completed == total and total > 0
