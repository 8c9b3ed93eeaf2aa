"""The HTTP side of the recalculator: operations alone; stored progress is asked of the services that show it."""

from fastapi import FastAPI


def application(version: str) -> FastAPI:
    """The application that health, metrics and the description are served from."""
    return FastAPI(title="Lesson Progress: recalculator", version=version, docs_url=None, redoc_url=None)
