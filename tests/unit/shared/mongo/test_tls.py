"""The database over TLS: what is not to be trusted ends the service with a sentence, and is not waited for."""

from pathlib import Path

import pytest

from shared.errors import Fatal
from shared.mongo.client import DatabaseAway, connect, database, ping
from shared.settings import MongoSettings
from tests.support.tls import certificate, listening, serving


def settings(address: str, options: str) -> MongoSettings:
    return MongoSettings(uri=f"mongodb://user:hunter2@{address}/?directConnection=true&{options}", timeout_ms=300)


async def asked(found: MongoSettings) -> None:
    client = connect(found, service="progress")
    try:
        await ping(database(client, found))
    finally:
        client.close()


async def test_an_authority_that_nobody_named_is_not_trusted(tmp_path: Path) -> None:
    with (
        listening(serving(certificate(tmp_path))) as address,
        pytest.raises(Fatal, match=r"the certificate of the database is not trusted .* check tlsCAFile"),
    ):
        await asked(settings(address, "tls=true"))


async def test_a_certificate_for_another_name_is_not_trusted(tmp_path: Path) -> None:
    files = certificate(tmp_path, host="127.0.0.2")
    with listening(serving(files)) as address, pytest.raises(Fatal, match="not valid for"):
        await asked(settings(address, f"tls=true&tlsCAFile={files[0]}"))


async def test_a_server_without_tls_is_said_to_have_none() -> None:
    with listening() as address, pytest.raises(Fatal, match="the database does not speak TLS"):
        await asked(settings(address, "tls=true"))


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
