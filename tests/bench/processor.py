"""How much processor time each program of a stack has used: what other work on the machine hardly changes."""

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
    command: list[str]


def processor_seconds() -> dict[str, float]:
    """User and system time so far of what this process started, by program (s); empty where there is no /proc."""
    processes = dict(_processes())
    seconds: defaultdict[str, float] = defaultdict(float)
    for pid, process in processes.items():
        if (name := _started_here(pid, processes)) is not None:
            seconds[name] += process.seconds
    return dict(seconds)


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
        found.append((int(status.parent.name), _Process(int(fields[1]), spent, command)))
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
