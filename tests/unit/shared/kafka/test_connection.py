"""Reaching the broker: with TLS and credentials as the settings say, and with a sentence where the door stays shut."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from shared.errors import Fatal
from shared.kafka import connection
from shared.kafka.connection import BrokerAway, Door, at_the_door, client_options, connected, disconnected
from shared.settings import KafkaSettings
from tests.support.tls import certificate, listening, serving


def secured(address: str, **more: Any) -> KafkaSettings:
    said = {"security_protocol": "SASL_SSL", "username": "progress", "password": "secret", **more}
    return KafkaSettings(bootstrap_servers=address, **said)


class TestOptions:
    def test_a_plain_connection_needs_an_address_and_nothing_else(self) -> None:
        assert client_options(KafkaSettings(bootstrap_servers="a:1,b:2")) == {
            "bootstrap_servers": ["a:1", "b:2"],
            "security_protocol": "PLAINTEXT",
        }

    def test_a_password_is_proved_over_tls_with_the_authority_that_is_named(self, tmp_path: Path) -> None:
        authority, _ = certificate(tmp_path)
        options = client_options(secured("a:1", ca_file=str(authority)))
        assert (options["security_protocol"], options["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
        assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("progress", "secret")
        assert options["ssl_context"].cert_store_stats()["x509"] == 1
        assert options["ssl_context"].check_hostname

    @pytest.mark.parametrize("client", [AIOKafkaProducer, AIOKafkaConsumer, AIOKafkaAdminClient])
    async def test_every_client_takes_them(self, client: Callable[..., Any]) -> None:
        made = client(**client_options(secured("127.0.0.1:1")))
        await (made.close() if isinstance(made, AIOKafkaAdminClient) else made.stop())

    @pytest.mark.parametrize("setting", ["ca_file", "certificate_file", "key_file"])
    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path, setting: str) -> None:
        own, key = certificate(tmp_path)
        files = {"ca_file": str(own), "certificate_file": str(own), "key_file": str(key)}
        settings = secured("a:1", **{**files, setting: str(tmp_path / "nowhere.pem")})
        with pytest.raises(Fatal, match=f"LESSON_PROGRESS_KAFKA__{setting.upper()} names .*nowhere.pem"):
            client_options(settings)

    def test_a_file_that_is_no_certificate_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("a shopping list")
        with pytest.raises(Fatal, match="no certificates that can be used: LESSON_PROGRESS_KAFKA__CA_FILE"):
            client_options(secured("a:1", ca_file=str(tmp_path / "ca.pem")))

    def test_a_key_of_another_certificate_is_refused(self, tmp_path: Path) -> None:
        own, _ = certificate(tmp_path)
        _, other = certificate(tmp_path, host="127.0.0.2")
        with pytest.raises(Fatal, match="no certificates that can be used"):
            client_options(secured("a:1", certificate_file=str(own), key_file=str(other)))


class TestTheDoor:
    async def test_an_authority_that_nobody_named_is_not_trusted(self, tmp_path: Path) -> None:
        with listening(serving(certificate(tmp_path))) as address:
            refusal = await at_the_door(secured(address))
        assert isinstance(refusal, Fatal)
        assert f"the certificate of the broker at {address} is not trusted" in str(refusal)
        assert "LESSON_PROGRESS_KAFKA__CA_FILE" in str(refusal)

    async def test_a_certificate_for_another_name_is_not_trusted(self, tmp_path: Path) -> None:
        files = certificate(tmp_path, host="127.0.0.2")
        with listening(serving(files)) as address:
            refusal = await at_the_door(secured(address, ca_file=str(files[0])))
        assert "127.0.0.1" in str(refusal)
        assert "is not trusted" in str(refusal)

    async def test_a_server_without_tls_is_said_to_have_none(self) -> None:
        with listening() as address:
            refusal = await at_the_door(secured(address))
        assert "does not speak TLS" in str(refusal)

    async def test_nobody_there_is_no_refusal(self) -> None:
        assert await at_the_door(secured("127.0.0.1:1")) is Door.SILENT

    @pytest.mark.parametrize(
        ("failure", "said"),
        [
            (SaslAuthenticationFailed(), "refuses the user 'progress'; check LESSON_PROGRESS_KAFKA__USERNAME"),
            (
                UnsupportedSaslMechanismError(),
                "does not offer SCRAM-SHA-512; check LESSON_PROGRESS_KAFKA__SASL_MECHANISM",
            ),
            (TopicAuthorizationFailedError(), "the broker refuses this service"),
        ],
    )
    async def test_a_refused_login_names_the_user_and_never_the_password(
        self, monkeypatch: pytest.MonkeyPatch, failure: KafkaError, said: str
    ) -> None:
        async def refuse(*_: object, **__: object) -> None:
            raise failure

        monkeypatch.setattr(connection, "create_conn", refuse)
        refusal = await at_the_door(secured("127.0.0.1:9"))
        assert said in str(refusal)
        assert "secret" not in str(refusal)

    async def test_one_broker_that_lets_us_in_is_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Connection:
            closed = False

            def close(self) -> None:
                Connection.closed = True

        async def only_the_second(host: str, *_: object, **__: object) -> Connection:
            if host == "a":
                raise SaslAuthenticationFailed
            return Connection()

        monkeypatch.setattr(connection, "create_conn", only_the_second)
        assert await at_the_door(KafkaSettings(bootstrap_servers="a:1,b:2")) is Door.OPEN
        assert Connection.closed


class TestStarting:
    class Client:
        """Fails to connect as the library does: without the reason."""

        async def start(self) -> None:
            raise KafkaConnectionError("Unable to bootstrap")

    async def test_a_broker_that_is_away_is_waited_for(self) -> None:
        with pytest.raises(BrokerAway, match=r"no broker answers at 127\.0\.0\.1:1"):
            await connected(self.Client(), KafkaSettings(bootstrap_servers="127.0.0.1:1"))

    async def test_a_broker_that_shuts_us_out_ends_the_service(self, tmp_path: Path) -> None:
        with listening(serving(certificate(tmp_path))) as address, pytest.raises(Fatal, match="is not trusted"):
            await connected(self.Client(), secured(address))


class TestStopping:
    """aiokafka awaits tasks that it cancelled: what they raise is no cancellation of ours."""

    class Client:
        def __init__(self) -> None:
            self.closed = asyncio.Event()

        async def close(self) -> None:
            self.closed.set()

    class Consumer:
        """Stops as the library does while a task of its own has not begun."""

        def __init__(self) -> None:
            self._client = TestStopping.Client()
            self.asked = asyncio.Event()

        async def stop(self) -> None:
            self.asked.set()
            own = asyncio.create_task(asyncio.sleep(60))
            own.cancel()
            await own

    class Waiting(Consumer):
        async def stop(self) -> None:
            self.asked.set()
            await asyncio.sleep(60)

    async def test_a_cancelled_task_of_the_library_does_not_end_whoever_stops_it(self) -> None:
        consumer = self.Consumer()
        await disconnected(consumer)
        assert consumer._client.closed.is_set()

    async def test_who_is_cancelled_while_it_stops_is_cancelled(self) -> None:
        consumer = self.Waiting()
        stopping = asyncio.create_task(disconnected(consumer))
        await consumer.asked.wait()
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        assert consumer._client.closed.is_set()
