"""The channels of the document: every topic, private reply topics, and the topic that a command names."""

from typing import Any

from docs.contract_files.asyncapi.messages import BINDING
from docs.contract_files.messages import flow
from docs.contract_files.records import DEAD_LETTER, REPLAY
from shared.contracts.topics import PROGRESS_REPLIES, SERVICES, TOPICS, Topic, dead_letters_of, reply_topic

Json = dict[str, Any]

_LETTERS = {dead_letters_of(service) for service in SERVICES}
_FLOW = {topic.name for topic in flow()}
#: The channel of replies in an operation: which topic it is stands in the command.
NAMED_BY_THE_COMMAND = "replies"
_PRIVATE = f"{PROGRESS_REPLIES}.gateway"


def channels() -> Json:
    """Every channel by its topic."""
    made = {topic.name: _channel(topic, topic.name) for topic in TOPICS.values()}
    private = _channel(reply_topic("gateway"), f"{PROGRESS_REPLIES}.{{gateway}}")
    private["summary"] = "Answers to the commands of one gateway, in a topic of its own; the operator makes it."
    private["parameters"] = {
        "gateway": {"description": "Letters, digits, `_` and `-`, parted by dots.", "examples": ["web", "mobile.ios"]}
    }
    private["x-consumers"] = ["the gateway it is named after"]
    named = {
        "address": None,
        "summary": "Answers to commands, in the topic that the command's header `reply-to` names.",
        "messages": made[PROGRESS_REPLIES]["messages"],
    }
    return {**made, _PRIVATE: private, NAMED_BY_THE_COMMAND: named}


def messages_in(topic: Topic) -> tuple[str, ...]:
    """The messages of a topic's channel."""
    if topic.name in _FLOW or topic.name.startswith(PROGRESS_REPLIES):
        return topic.types
    return (DEAD_LETTER,) if topic.name in _LETTERS else (REPLAY,)


def _channel(topic: Topic, address: str) -> Json:
    return {
        "address": address,
        "summary": topic.purpose,
        "description": f"Written by {_and(topic.producers)}, read by {_and(topic.consumers)}. Key: {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages_in(topic)},
        "bindings": {"kafka": _binding(topic)},
        "x-key": topic.key,
        "x-producers": list(topic.producers),
        "x-consumers": list(topic.consumers),
    }


def _binding(topic: Topic) -> Json:
    configuration: Json = {**topic.configuration(min_insync_replicas=1)}
    # How many replicas there are, and how many of them must answer, is the installation's own.
    del configuration["min.insync.replicas"]
    configuration |= {name: int(configuration[name]) for name in ("retention.ms", "max.message.bytes")}
    configuration["cleanup.policy"] = configuration["cleanup.policy"].split(",")
    return {
        "partitions": topic.partitions,
        "topicConfiguration": dict(sorted(configuration.items())),
        "bindingVersion": BINDING,
    }


def _and(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
