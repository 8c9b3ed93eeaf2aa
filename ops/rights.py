"""Who may do what on the broker, from the topic cards: the least that each principal needs, and no more."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.contracts.topics import PROGRESS_COMMANDS, PROGRESS_REPLIES, SERVICES, TOPICS, consumed_by, published_by
from shared.contracts.topics import reply_topic as reply_topic_of

#: The operator's principal.
OPERATOR = "operator"
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

    Describe follows from Read and from Write. A gateway's groups begin with its name.

    Raises:
        ValueError: a gateway's name gives no allowed reply topic.
    """
    for service in SERVICES:
        yield Right(service, ("Read", "DescribeConfigs"), "topic", consumed_by(service))
        yield Right(service, ("Write", "DescribeConfigs"), "topic", published_by(service))
        yield Right(service, ("Write",), "topic", (PROGRESS_REPLIES,), prefixed=True)
        yield Right(service, ("Read",), "group", (service,))
    yield from _of_the_operator()
    yield Right(SCREENS, ("Read",), "topic", tuple(t.name for t in TOPICS.values() if "live screens" in t.consumers))
    yield Right(SCREENS, ("Read",), "group", (SCREENS,), prefixed=True)
    for gateway in gateways:
        yield Right(gateway, ("Write",), "topic", (PROGRESS_COMMANDS,))
        yield Right(gateway, ("Read",), "topic", (reply_topic_of(gateway).name,))
        yield Right(gateway, ("Read",), "group", (gateway,), prefixed=True)


def _of_the_operator() -> Iterator[Right]:
    # The operator makes the topics and reads all of them; writing is for commands and for dead letters sent again.
    written = tuple(t.name for t in TOPICS.values() if t.commands or "operators" in t.producers)
    yield Right(OPERATOR, ("Read", "Create", "Alter", "DescribeConfigs", "AlterConfigs"), "topic", ("*",))
    yield Right(OPERATOR, ("Write",), "topic", written)
    yield Right(OPERATOR, ("Describe",), "group", ("*",))


def script(gateways: Sequence[str] = ()) -> str:
    """A shell script that gives these rights; its arguments say how to reach the broker as one who may.

    Raises:
        ValueError: a gateway's name gives no allowed reply topic.
    """
    lines = [
        "#!/bin/bash",
        "# Gives every principal its rights on the broker. Generated: lesson-progress topics rights",
        "# rights.sh --bootstrap-server HOST:PORT --command-config ADMIN.properties",
        "set -euo pipefail",
        'PATH="/opt/kafka/bin:$PATH"',
        'admin=("$@")',
        "# Each call starts a Java machine for a second: three at a time. The first that fails ends the script.",
        "give() {",
        '    while [ "$(jobs -rp | wc -l)" -ge 3 ]; do wait -n; done',
        '    kafka-acls.sh "${admin[@]}" --add "$@" >/dev/null &',
        "}",
    ]
    end = 'while [ -n "$(jobs -p)" ]; do wait -n; done'
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
