"""What became of a row with a seed, as lanes tell it to whoever started them and as reports keep it."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Self

#: The place of a row in the result of the checker, whose seed is the lane's number.
CHECKER = 0


class Verdict(StrEnum):
    """Whether the product kept its word; whatever is not `PASSED` makes a run fail."""

    PASSED = "passed"
    FAILED = "failed"
    #: Nobody knows: the checker could not read the stack.
    UNREAD = "not read"


@dataclass(frozen=True, slots=True)
class Task:
    """A row with a seed, to be run."""

    row: int
    seed: int
    quick: bool

    def line(self) -> bytes:
        """As one line of JSON."""
        return _line(self)

    @classmethod
    def read(cls, line: str) -> Self:
        """From one line of JSON."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Result:
    """What became of it."""

    row: int
    seed: int
    verdict: Verdict
    #: How long the row took, without the start of its stack (s).
    seconds: float
    #: Why it failed, in a line.
    what: str = ""
    #: Where the logs and dumps of a failure are.
    folder: str = ""

    def line(self) -> bytes:
        """As one line of JSON."""
        return _line(self)

    @classmethod
    def read(cls, line: bytes) -> Self:
        """From one line of JSON."""
        fields = json.loads(line)
        return cls(**fields | {"verdict": Verdict(fields["verdict"])})


def _line(value: Task | Result) -> bytes:
    return json.dumps(asdict(value)).encode() + b"\n"
