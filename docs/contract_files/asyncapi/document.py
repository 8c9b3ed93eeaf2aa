"""The AsyncAPI document as a whole, and its text."""

from importlib.metadata import metadata
from typing import Any

import yaml

from docs.contract_files.asyncapi.channels import channels
from docs.contract_files.asyncapi.messages import messages, schemas
from docs.contract_files.asyncapi.operations import operations
from docs.contract_files.places import ASYNCAPI

Json = dict[str, Any]

_WIDTH = 120
_ABOUT = """\
Learners finish lessons, and this keeps count. A gateway sends one command and hears one answer; facts follow from facts
until a certificate is issued. Records are CloudEvents 1.0 in the Kafka protocol binding, binary mode: attributes are
headers, the value is the data as one JSON object. Moments are Unix epoch milliseconds. Readers ignore unknown fields;
a minor change only adds optional ones, anything else is a new major version of the type beside the old one.
Operations are those of the three services: what they receive, others send.
"""
_BROKER = {
    "default": "127.0.0.1:9092",
    "description": "host:port of one of the brokers",
    "examples": ["127.0.0.1:9092", "broker-1.example.org:9093"],
}


def asyncapi() -> str:
    """The document's text: YAML, in a reader's order."""
    return as_yaml(document())


def document() -> Json:
    """The document."""
    return {
        "asyncapi": "3.0.0",
        "info": _info(),
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": channels(),
        "operations": operations(),
        "components": {
            "messages": messages(),
            "schemas": schemas(),
            "securitySchemes": _security_schemes(),
        },
    }


def as_yaml(described: Json) -> str:
    """A document as YAML."""
    head = f"# {ASYNCAPI.name}: written by `python -m docs.generate`; change the code, not this file.\n"
    return head + yaml.dump(described, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=_WIDTH)


def _info() -> Json:
    product = metadata("lesson-progress")
    return {
        "title": "Lesson Progress",
        "version": product["Version"],
        "description": _ABOUT,
        "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        "tags": [
            {"name": "command", "description": "Asks for something; carries the token of whoever asks."},
            {"name": "reply", "description": "Answers one command, best effort."},
            {"name": "event", "description": "A fact; the same fact is always the same event."},
            {"name": "repair", "description": "For operators: what could not be handled, and its return."},
        ],
    }


def _servers() -> Json:
    return {
        "plain": {
            "host": "{broker}",
            "protocol": "kafka",
            "description": "A broker on this machine or in a network of its own: no encryption, no password.",
            "variables": {"broker": _BROKER},
        },
        "secure": {
            "host": "{broker}",
            "protocol": "kafka-secure",
            "description": "A broker elsewhere: TLS, and a password for each principal (SASL_SSL).",
            "variables": {"broker": _BROKER},
            "security": [{"$ref": "#/components/securitySchemes/password"}],
        },
    }


def _security_schemes() -> Json:
    return {
        "password": {
            "type": "scramSha512",
            "description": "SCRAM-SHA-512 over TLS; what a principal may read and write is the broker's to say.",
        },
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A JWT of the platform's issuer in the record's header `authorization`; "
            "all commands but `lesson.complete.v1` need the operator's role in it.",
        },
    }


class _Plain(yaml.SafeDumper):
    """YAML without anchors, and with long texts as blocks."""

    def ignore_aliases(self, _: Any) -> bool:
        """Write every value where it stands."""
        return True


def _lines(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _lines)
