"""Where the contracts' files are."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SCHEMAS = Path("shared/contracts/schemas")
EXAMPLES = Path("shared/contracts/examples")
ASYNCAPI = Path("docs/asyncapi/lesson-progress.yaml")
OPENAPI = Path("docs/openapi")
RELEASED = Path("docs/contracts/released")


def schema_of(message_type: str) -> Path:
    """The schema of one message type."""
    return SCHEMAS / f"{message_type}.schema.json"


def openapi_of(service: str) -> Path:
    """The description of one service's HTTP side."""
    return OPENAPI / f"{service}.json"
