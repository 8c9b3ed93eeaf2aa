"""The description of a service's HTTP side, as the service itself gives it at `/openapi.json`."""

from importlib import import_module
from typing import Any

from shared.contracts.topics import Service


def openapi(service: Service) -> dict[str, Any]:
    """The OpenAPI document of one service; nothing is opened for it."""
    settings = import_module(f"services.{service}.settings").Settings
    wired = import_module(f"services.{service}.app").build_app(settings(_env_file=None))
    described: dict[str, Any] = wired.http.openapi()
    return described
