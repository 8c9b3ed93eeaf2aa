"""Who is calling over HTTP: the same token as on a command, judged against the clock."""

from http import HTTPStatus

from fastapi import Request

from shared.clock import Clock
from shared.identity import Identity, NotAuthenticated, TokenVerifier, bearer
from shared.problems import Problem


async def caller(request: Request, verifier: TokenVerifier, clock: Clock) -> Identity:
    """The identity that the request's token proves.

    Raises:
        Problem: 401, there is none.
    """
    headers = [(name.decode("latin-1"), value) for name, value in request.headers.raw]
    try:
        return await verifier.authenticate(bearer(headers), at_ms=clock())
    except NotAuthenticated:
        raise Problem(HTTPStatus.UNAUTHORIZED, "Not authenticated", headers={"WWW-Authenticate": "Bearer"}) from None
