"""Serving HTTP beside the consuming side: uvicorn, which here neither handles signals nor ends the process."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from fastapi import FastAPI

from shared.settings import HttpSettings

#: How long requests in hand may take once the server is to end.
_LAST_REQUESTS_SECONDS = 1


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the service decides when to end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def make_server(http: FastAPI, settings: HttpSettings) -> uvicorn.Server:
    """A server for this application; listens once it is `served`, ends when its `should_exit` is set."""
    return _Server(
        uvicorn.Config(
            http,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=_LAST_REQUESTS_SECONDS,
        )
    )


async def served(server: uvicorn.Server) -> None:
    """Serve until the server ends, at once where it cannot listen."""
    # uvicorn exits when it cannot listen; out of a task that would end the event loop before a word is said.
    with suppress(SystemExit):
        await server.serve()
