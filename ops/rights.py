"""Who may do what on the broker, from the topic cards: the least that each principal needs, and no more."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.contracts.topics import (
    PROGRESS_COMMANDS,
    PROGRESS_REPLIES,
    SERVICES,
    TOPICS,
    consumed_by,
    dead_letters_of,
    published_by,
)
from shared.contracts.topics import reply_topic as reply_topic_of

#: The operator's principal.
OPERATOR = "operator"
_MAKING = ("Read", "Create", "Alter", "DescribeConfigs", "AlterConfigs")
#: Who reads what live screens show.
SCREENS = "screens"


@dataclass(frozen=True, slots=True)
class Right:
    """What one principal may do with some topics, or with some consumer groups."""

    principal: str
    operations: tuple[str, ...]
    kind: Literal["topic", "group"]
    names: tuple[str, ...]
    #: The names are the beginnings of names.
    prefixed: bool = False


def rights(gateways: Sequence[str] = ()) -> Iterator[Right]:
    """The rights of the services, the operator, the live screens, and of these gateways.

    Describe follows from Read and from Write. A gateway's groups begin with its name and a dash.

    Raises:
        ValueError: a gateway's name gives no allowed reply topic, or is taken.
    """
    for service in SERVICES:
        yield Right(service, ("Read", "DescribeConfigs"), "topic", consumed_by(service))
        yield Right(service, ("Write", "DescribeConfigs"), "topic", published_by(service))
        yield Right(service, ("Write",), "topic", (PROGRESS_REPLIES,), prefixed=True)
        yield Right(service, ("Read",), "group", (service,))
    yield from _of_the_operator()
    yield Right(SCREENS, ("Read",), "topic", tuple(t.name for t in TOPICS.values() if "live screens" in t.consumers))
    yield Right(SCREENS, ("Read",), "group", (f"{SCREENS}-",), prefixed=True)
    for gateway in gateways:
        if gateway in {*SERVICES, OPERATOR, SCREENS}:
            raise ValueError(f"{gateway!r} is a principal of ours: a gateway needs another name")
        yield Right(gateway, ("Write",), "topic", (PROGRESS_COMMANDS,))
        yield Right(gateway, ("Read",), "topic", (reply_topic_of(gateway).name,))
        yield Right(gateway, ("Read",), "group", (f"{gateway}-",), prefixed=True)


def _of_the_operator() -> Iterator[Right]:
    # The operator makes our topics and reads all of them; writing is for commands, for dead letters sent again, and for
    # the marks of those that are discarded, which stand beside them (ADR 0026).
    letters = {dead_letters_of(service) for service in SERVICES}
    written = tuple(t.name for t in TOPICS.values() if t.commands or "operators" in t.producers or t.name in letters)
    ours = tuple(name for name in TOPICS if name != PROGRESS_REPLIES)
    yield Right(OPERATOR, _MAKING, "topic", ours)
    yield Right(OPERATOR, _MAKING, "topic", (PROGRESS_REPLIES,), prefixed=True)
    yield Right(OPERATOR, ("Write",), "topic", written)
    yield Right(OPERATOR, ("Describe",), "group", ("*",))
    # To send the group of a stopped service back, after a restore.
    yield Right(OPERATOR, ("Read",), "group", SERVICES)


def script(gateways: Sequence[str] = ()) -> str:
    """A shell script that gives these rights; its arguments say how to reach the broker as one who may.

    Raises:
        ValueError: a gateway's name gives no allowed reply topic.
    """
    generated = " ".join(["lesson-progress topics rights", *(f"--gateway {gateway}" for gateway in gateways)])
    lines = [
        "#!/bin/bash",
        f"# Gives every principal its rights on the broker. Generated: {generated}",
        "# rights.sh --bootstrap-server HOST:PORT --command-config ADMIN.properties",
        "set -euo pipefail",
        'PATH="/opt/kafka/bin:$PATH"',
        'admin=("$@")',
        "# Each call starts a Java machine for a second: three at a time. The first that fails ends the script.",
        "running=()",
        "finish() {",
        '    while [ "${#running[@]}" -gt "$1" ]; do',
        '        wait "${running[0]}"',
        '        running=("${running[@]:1}")',
        "    done",
        "}",
        "give() {",
        "    finish 2",
        '    kafka-acls.sh "${admin[@]}" --add "$@" >/dev/null &',
        '    running+=("$!")',
        "}",
    ]
    end = "finish 0"
    return "\n".join([*lines, *(_command(right) for right in rights(gateways)), end]) + "\n"


def _command(right: Right) -> str:
    words = ["give", "--allow-principal", f"User:{right.principal}"]
    for operation in right.operations:
        words += ["--operation", operation]
    for name in right.names:
        words += [f"--{right.kind}", name]
    if right.prefixed:
        words += ["--resource-pattern-type", "prefixed"]
    return shlex.join(words)
