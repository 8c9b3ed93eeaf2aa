"""The database over TLS: what is not to be trusted ends the service with a sentence, and is not waited for."""

from contextlib import suppress
from pathlib import Path

import pytest

from shared.errors import Fatal
from shared.mongo.client import DatabaseAway, connect, database, ping
from shared.settings import MongoSettings
from tests.support.tls import certificate, listening, serving

SHORTEST_MS = 300
#: How long an answer may take on a machine that is busy. The driver knocks for as long as it may, even at a door that
#: was shut in its face: so it may for a short time first.
ANSWERED_MS = (SHORTEST_MS, 1_000, 3_000, 10_000)


def settings(address: str, options: str) -> MongoSettings:
    uri = f"mongodb://user:hunter2@{address}/?directConnection=true&{options}"
    return MongoSettings(uri=uri, timeout_ms=SHORTEST_MS)


async def asked(found: MongoSettings) -> None:
    client = connect(found, service="progress")
    try:
        await ping(database(client, found))
    finally:
        client.close()


async def answered(found: MongoSettings) -> None:
    """The same of a server that is there, for as long as it takes to answer."""
    for timeout_ms in ANSWERED_MS:
        with suppress(DatabaseAway):
            await asked(found.model_copy(update={"timeout_ms": timeout_ms}))
            return
    raise AssertionError("no answer")


async def test_an_authority_that_nobody_named_is_not_trusted(tmp_path: Path) -> None:
    with (
        listening(serving(certificate(tmp_path))) as address,
        pytest.raises(Fatal, match=r"the certificate of the database is not trusted .* check tlsCAFile"),
    ):
        await answered(settings(address, "tls=true"))


async def test_a_certificate_for_another_name_is_not_trusted(tmp_path: Path) -> None:
    files = certificate(tmp_path, host="127.0.0.2")
    with listening(serving(files)) as address, pytest.raises(Fatal, match="not valid for"):
        await answered(settings(address, f"tls=true&tlsCAFile={files[0]}"))


async def test_a_server_without_tls_is_said_to_have_none() -> None:
    with listening() as address, pytest.raises(Fatal, match="the database does not speak TLS"):
        await answered(settings(address, "tls=true"))


async def test_nobody_there_is_waited_for() -> None:
    with pytest.raises(DatabaseAway):
        await asked(settings("127.0.0.1:1", "tls=true"))


def test_a_certificate_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.pem"
    with pytest.raises(Fatal, match=r"names a certificate file .*nowhere\.pem that cannot be used") as said:
        connect(settings("h", f"tls=true&tlsCAFile={missing}"), service="progress")
    assert "hunter2" not in str(said.value)


def test_a_file_that_is_no_certificate_is_said(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("a shopping list")
    with pytest.raises(Fatal, match="certificate file"):
        connect(settings("h", f"tls=true&tlsCAFile={tmp_path / 'ca.pem'}"), service="progress")
