"""The kinds of stack, by what the services stand on."""

from enum import StrEnum


class StackKind(StrEnum):
    """Which broker and database the services stand on."""

    #: Tansu and SecantusDB's Python server: Python packages alone. Proves flows, not reliability.
    EMBEDDED = "embedded"
    #: Apache Kafka on the JVM and SecantusDB's Rust server.
    KAFKA = "kafka"
    #: Whatever the LESSON_PROGRESS_* variables name.
    EXTERNAL = "external"


class OwnStackKind(StrEnum):
    """The kinds that are started from nothing, with a development key of their own."""

    EMBEDDED = StackKind.EMBEDDED
    KAFKA = StackKind.KAFKA
