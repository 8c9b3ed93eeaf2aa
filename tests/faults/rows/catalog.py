"""What a row of the fault table is: its number and title there, how the fault is made here, and what is asserted."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from tests.faults.rows.run import Run

Fault: TypeAlias = Callable[[Run], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the fault table in the reliability document."""

    number: int
    #: The fault, as the table calls it.
    title: str
    #: How it is made here.
    made: str
    #: What is asserted besides the invariants, which `World.settled` asserts for every row.
    asserted: str
    #: Makes the fault and asserts.
    fault: Fault
    #: Whether it is one of those that every gate runs.
    quick: bool = True
    #: Waits for so long that it has a stack of its own, beside all others.
    waits: bool = False
