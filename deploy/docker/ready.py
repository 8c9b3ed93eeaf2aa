"""Asks the service of this container whether it is ready, for the image's HEALTHCHECK; the standard library alone.

Which service it is says the command of process 1, and where it listens say the variables that the image sets. The
operator's command has nothing to ask. Where neither can be told (a shell in between, a shared process namespace), every
service that has an address is asked, and each that answers must be ready: one at least.
"""

# ruff: noqa: INP001 - a program by itself, in no package

import http.client
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

_SECONDS = 4.0
_ANY_ADDRESS = {"0.0.0.0", "::", ""}  # noqa: S104 - where a service listens, not this


class SilentError(Exception):
    """Nothing answers where a service would listen."""


#: The operator's command as a container runs it: by itself, after an init, or by its interpreter.
_OPERATOR = re.compile(rb"(?:^|\0--\0)(?:[^\0]*python[0-9.]*\0)?(?:[^\0]*/)?lesson-progress(?:\0|$)")
_PORT = re.compile(r"LESSON_PROGRESS_([A-Z]+)__HTTP__PORT")


def has_nothing_to_ask(command: bytes) -> bool:
    """Whether this command line is the operator's command, which serves nobody."""
    return _OPERATOR.search(command) is not None


def service_of(command: bytes) -> str | None:
    """The service that this command line starts, its words parted by NUL as in /proc; None when that cannot be told."""
    found = re.search(rb"(?:^|\0)services\.([a-z]+)(?:\0|$)", command)
    return found[1].decode() if found else None


def address_of(service: str, environment: Mapping[str, str]) -> tuple[str, int]:
    """Where this service listens."""
    http_settings = f"LESSON_PROGRESS_{service.upper()}__HTTP__"
    host = environment.get(f"{http_settings}HOST", "")
    return "127.0.0.1" if host in _ANY_ADDRESS else host, int(environment[f"{http_settings}PORT"])


def every_service(environment: Mapping[str, str]) -> list[str]:
    """The services that have an address here."""
    return [found[1].lower() for name in sorted(environment) if (found := _PORT.fullmatch(name))]


def ask(host: str, port: int) -> str | None:
    """What keeps the service there from being ready; None when nothing does.

    Raises:
        SilentError: nothing answers there.
    """
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as failure:
        raise SilentError(f"nothing answers at {host}:{port} ({type(failure).__name__})") from failure
    finally:
        connection.close()
    return None if answer.status == http.client.OK else body


def problems_of(command: bytes, environment: Mapping[str, str]) -> list[str]:
    """What keeps the container of this process 1 from being ready; empty when nothing does."""
    service = service_of(command)
    if service is None and has_nothing_to_ask(command):
        return []
    known = every_service(environment)
    services = [service] if service in known else known
    answers: list[str | None] = []
    silent: list[str] = []
    for name in services:
        try:
            answers.append(ask(*address_of(name, environment)))
        except SilentError as silence:
            silent.append(str(silence))
    if not answers:
        return silent or ["no service has an address here"]
    return [problem for problem in answers if problem is not None]


def main() -> int:
    """Answer as HEALTHCHECK wants it: 0 is healthy."""
    problems = problems_of(Path("/proc/1/cmdline").read_bytes(), os.environ)
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
