"""Errors over HTTP: one clear sentence, and no part of the system named that may be innocent."""

import httpx
import pytest
from fastapi import FastAPI

from shared import problems
from shared.errors import Transient


@pytest.mark.parametrize("away", ["the database is away", "there is no key set yet to verify tokens with"])
async def test_what_is_away_is_503_whichever_part_it_is(away: str) -> None:
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    async def answer() -> None:
        raise Transient(away)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        response = await client.get("/")

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"] == "a part that this answer needs is not there now; try again"
