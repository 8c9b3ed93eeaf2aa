"""Ports on this machine, free ones unless told otherwise, for stacks that run side by side."""

import socket
from collections.abc import Mapping
from random import SystemRandom

HOST = "127.0.0.1"
#: Below what systems give to outgoing connections (from 32768 on Linux, 49152 on macOS), which could take a port
#: between the moment it is found free and the moment its program listens.
_RANGE = range(20_000, 32_000)


class Ports:
    """One port for each name, the same whenever it is asked for."""

    def __init__(self, fixed: Mapping[str, int], *, among: range | None = None) -> None:
        """These are fixed; every other is one of `among`, unless the programs may have any."""
        self._given = dict(fixed)
        self._among = among or _RANGE

    def of(self, name: str) -> int:
        """The port of this name: the fixed one, otherwise one that nobody listens on."""
        if name not in self._given:
            self._given[name] = self._free()
        return self._given[name]

    def row(self, name: str, count: int) -> range:
        """Ports of this name that follow each other and that nobody listens on."""
        names = [f"{name} {number}" for number in range(count)]
        if names[0] not in self._given:
            first = self._free(count)
            self._given |= zip(names, range(first, first + count), strict=True)
        return range(self._given[names[0]], self._given[names[0]] + count)

    def _free(self, count: int = 1) -> int:
        firsts = self._among[: len(self._among) - count + 1]
        for first in SystemRandom().sample(firsts, len(firsts)):
            if all(port not in self._given.values() and _is_free(port) for port in range(first, first + count)):
                return first
        raise OSError(
            f"no {count} ports from {self._among.start} to {self._among.stop - 1} that follow each other are free"
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
