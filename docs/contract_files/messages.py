"""Every message there is, and who writes and reads it."""

from importlib import import_module
from pkgutil import iter_modules

import shared.contracts
from shared.contracts.topics import SERVICES, TOPICS, Topic, dead_letters_of, replays_of
from shared.contracts.values import Message

#: What each command may be answered with. A changed course has no good answer: its sweep is no one's to wait for.
ANSWERS = {
    "lesson.complete.v1": ["lesson.marked.v1", "command.rejected.v1"],
    "progress.recalculate.v1": ["progress.recalculated.v1", "command.rejected.v1"],
    "course.changed.v1": ["command.rejected.v1"],
    "certificate.generate.v1": ["certificate.requested.v1", "command.rejected.v1"],
    "certificate.revoke.v1": ["certificate.requested.v1", "command.rejected.v1"],
    "certificate.restore.v1": ["certificate.requested.v1", "command.rejected.v1"],
}
_REPAIRS = {name(service) for service in SERVICES for name in (dead_letters_of, replays_of)}


def every_message() -> dict[str, type[Message]]:
    """Every message by its type, in the order of the topics that carry them.

    Raises:
        LookupError: a topic carries a type that no message has.
    """
    found = {
        model.TYPE: model for name in _modules() for model in vars(import_module(name)).values() if _has_type(model)
    }
    order = [message_type for topic in flow() for message_type in topic.types]
    if unknown := [message_type for message_type in order if message_type not in found]:
        raise LookupError(f"{unknown[0]} has no message: add one to shared/contracts, in its producer's file")
    return {message_type: found[message_type] for message_type in order}


def flow() -> list[Topic]:
    """The topics that messages are meant for; dead letters and their replays are copies."""
    return [topic for topic in TOPICS.values() if topic.name not in _REPAIRS]


def topic_of(message_type: str) -> Topic:
    """The topic that messages of this type are meant for."""
    return next(topic for topic in flow() if message_type in topic.types)


def writers_of(message_type: str) -> tuple[str, ...]:
    """Who writes messages of this type; every service may reply, but not with every answer."""
    commands = [command for command, answers in ANSWERS.items() if message_type in answers]
    answering = {service for command in commands for service in topic_of(command).consumers}
    return tuple(name for name in topic_of(message_type).producers if not commands or name in answering)


def _modules() -> list[str]:
    return [f"{shared.contracts.__name__}.{module.name}" for module in iter_modules(shared.contracts.__path__)]


def _has_type(model: object) -> bool:
    return isinstance(model, type) and issubclass(model, Message) and hasattr(model, "TYPE")
