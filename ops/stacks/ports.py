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

    def __init__(self, fixed: Mapping[str, int]) -> None:
        self._given = dict(fixed)

    def of(self, name: str) -> int:
        """The port of this name: the fixed one, otherwise one that nobody listens on."""
        if name not in self._given:
            self._given[name] = self._free()
        return self._given[name]

    def _free(self) -> int:
        for port in SystemRandom().sample(_RANGE, len(_RANGE)):
            if port not in self._given.values() and _is_free(port):
                return port
        raise OSError(f"no port from {_RANGE.start} to {_RANGE.stop - 1} is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
