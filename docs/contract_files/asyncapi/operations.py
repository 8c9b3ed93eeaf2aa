"""What each service does with each message: receives it and perhaps replies, or sends it."""

import re
from typing import Any

from docs.contract_files.asyncapi.channels import NAMED_BY_THE_COMMAND, messages_in
from docs.contract_files.asyncapi.messages import BINDING
from docs.contract_files.messages import ANSWERS
from docs.contract_files.records import REPLAY
from shared.contracts.topics import PROGRESS_REPLIES, SERVICES, TOPICS, Topic

Json = dict[str, Any]

#: Any letter that begins a word.
_WORD = re.compile(r"[^A-Za-z0-9]+(\w)")


def operations() -> Json:
    """Every operation of every service."""
    made: Json = {}
    for service in SERVICES:
        for topic in TOPICS.values():
            if service in topic.consumers:
                made |= {_name(service, "receives", m): _receive(service, topic, m) for m in messages_in(topic)}
            if service in topic.producers and topic.name != PROGRESS_REPLIES:
                made |= {_name(service, "sends", m): _send(service, topic, m) for m in messages_in(topic)}
    return made


def _receive(service: str, topic: Topic, message: str) -> Json:
    operation = _operation("receive", service, topic, message, f"{service} reads `{message}`")
    operation["bindings"] = {
        "kafka": {"groupId": {"type": "string", "enum": [service]}, "bindingVersion": BINDING},
    }
    answers = _answers_to(message, topic)
    if answers:
        operation["security"] = [{"$ref": "#/components/securitySchemes/token"}]
        operation["reply"] = {
            "address": {
                "description": "The topic that the command names; without it there is no reply.",
                "location": "$message.header#/reply-to",
            },
            "channel": {"$ref": f"#/channels/{NAMED_BY_THE_COMMAND}"},
            "messages": [{"$ref": f"#/channels/{NAMED_BY_THE_COMMAND}/messages/{answer}"} for answer in answers],
        }
    return operation


def _answers_to(message: str, topic: Topic) -> list[str]:
    """The replies that a received message may have; a replayed command has the same."""
    commands = topic.types if message == REPLAY else (message,)
    return list(dict.fromkeys(answer for command in commands for answer in ANSWERS.get(command, [])))


def _send(service: str, topic: Topic, message: str) -> Json:
    return _operation("send", service, topic, message, f"{service} writes `{message}`")


def _operation(action: str, service: str, topic: Topic, message: str, says: str) -> Json:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": f"{says}.",
        "tags": [{"name": service}],
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{message}"}],
    }


def _name(service: str, does: str, message: str) -> str:
    """`progressReceivesLessonCompleteV1`: a name that generators can make a function of."""
    return _WORD.sub(lambda found: found[1].upper(), f"{service}.{does}.{message}")
