"""What each program of a stack uses: processor time, which other work on the machine hardly changes, and memory."""

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

#: A word of the command line, and what the program is.
_PROGRAMS = {
    "kafka.Kafka": "broker",
    "secantusd-rs": "database",
    "services.progress": "progress",
    "services.recalculator": "recalculator",
    "services.certificates": "certificates",
}
_BASELINE = "tests.bench.baseline"


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    seconds: float
    resident: int
    command: list[str]


def processor_seconds() -> dict[str, float]:
    """User and system time so far of what this process started, by program (s); empty where there is no /proc."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for name, process in _programs():
        seconds[name] += process.seconds
    return dict(seconds)


def resident_bytes() -> dict[str, int]:
    """Memory that what this process started holds now, helpers included, by program; empty where there is no /proc."""
    resident: defaultdict[str, int] = defaultdict(int)
    for name, process in _programs():
        resident[name] += process.resident
    return dict(resident)


def _programs() -> list[tuple[str, _Process]]:
    processes = dict(_processes())
    named = [(_started_here(pid, processes), process) for pid, process in processes.items()]
    return [(name, process) for name, process in named if name is not None]


def _processes() -> list[tuple[int, _Process]]:
    ticks = os.sysconf("SC_CLK_TCK")
    found: list[tuple[int, _Process]] = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            command = (status.parent / "cmdline").read_text().split("\0")
        except OSError:  # it has ended
            continue
        spent = (int(fields[11]) + int(fields[12])) / ticks
        resident = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        found.append((int(status.parent.name), _Process(int(fields[1]), spent, resident, command)))
    return found


def _started_here(pid: int, processes: dict[int, _Process]) -> str | None:
    """The program that this process is, or is a helper of."""
    while (process := processes.get(pid)) is not None:
        if process.parent == os.getpid():
            return _program(process.command)
        pid = process.parent
    return None


def _program(command: list[str]) -> str | None:
    if _BASELINE in command:
        return command[command.index(_BASELINE) + 1]
    return next((name for word in command if (name := _PROGRAMS.get(word.rpartition("/")[2])) is not None), None)
