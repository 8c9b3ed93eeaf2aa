"""How every client reaches the broker: addresses, TLS, credentials, and what a closed door says.

aiokafka logs what a broker answers to a wrong password or an untrusted certificate, and raises only that it could not
connect. A service would wait for ever for what no waiting mends, so the door is knocked at once more to hear why.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Iterator
from enum import Enum
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from shared.errors import Fatal, Transient
from shared.kafka.refusals import refusal_for_good
from shared.settings import KafkaSettings

_KNOCK_MS = 5_000
#: What OpenSSL says when the other side answers without TLS.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})


class BrokerAway(Transient):
    """No broker answers."""


class Door(Enum):
    """What became of a connection that was not refused."""

    OPEN = "open"
    SILENT = "silent"


class Client(Protocol):
    """Any client of the broker."""

    async def start(self) -> None:
        """Connect."""


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """What every aiokafka client is made with, to reach the broker as these settings say.

    Raises:
        Fatal: a file that they name cannot be used.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers.split(","),
        "security_protocol": settings.security_protocol,
    }
    if settings.encrypted:
        options["ssl_context"] = _ssl_context(settings)
    if settings.authenticated:
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.username
        options["sasl_plain_password"] = settings.password.get_secret_value()
    return options


async def connected(client: Client, settings: KafkaSettings) -> None:
    """Start a client; whoever made it stops it, also when this fails.

    Raises:
        Fatal: the broker refuses us for good, or we it.
        BrokerAway: none answers.
    """
    try:
        await client.start()
    except KafkaError as failure:
        raise await reason_of(failure, settings) from failure


async def disconnected(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, in whatever state it is."""
    await stopped(consumer.stop(), consumer)


async def stopped(stopping: Awaitable[None], consumer: AIOKafkaConsumer) -> None:
    """Wait until a consumer has stopped.

    aiokafka cancels tasks of its own and waits for them: one that had not begun, or that was about to ask a broker
    again, raises its cancellation into whoever stops the consumer, who would take it for Ctrl-C.
    """
    try:
        await stopping
    except asyncio.CancelledError:
        if (caller := asyncio.current_task()) is not None and caller.cancelling():
            raise
    finally:
        await consumer._client.close()  # noqa: SLF001 - its own stop may not have come to it, and is done only once


async def reason_of(failure: KafkaError, settings: KafkaSettings) -> Fatal | BrokerAway:
    """What a failure to reach the broker comes from: what no waiting mends, or a broker that is away."""
    if refusal := refusal_for_good(failure):
        return refusal
    match await at_the_door(settings):
        case Fatal() as refused:
            return refused
        case Door.OPEN:
            return BrokerAway(f"the broker at {settings.bootstrap_servers} failed ({type(failure).__name__})")
        case Door.SILENT:
            return BrokerAway(f"no broker answers at {settings.bootstrap_servers}")


async def at_the_door(settings: KafkaSettings) -> Fatal | Door:
    """Whether a broker lets us in; where none does, why, unless none answers at all."""
    options = client_options(settings)
    servers = options.pop("bootstrap_servers")
    refusal: Fatal | None = None
    for host, port, _ in collect_hosts(servers):
        try:
            connection = await create_conn(host, port, request_timeout_ms=_KNOCK_MS, **options)
        except (TimeoutError, OSError, KafkaError) as failure:
            refusal = refusal or _named(failure, f"{host}:{port}", settings)
        else:
            connection.close()
            return Door.OPEN
    return refusal or Door.SILENT


def _named(failure: BaseException, address: str, settings: KafkaSettings) -> Fatal | None:
    match failure:
        case ssl.SSLCertVerificationError():
            return Fatal(
                f"the certificate of the broker at {address} is not trusted ({failure.verify_message}); check "
                "LESSON_PROGRESS_KAFKA__CA_FILE and the names in the certificate"
            )
        case ssl.SSLError() if failure.reason in _NO_TLS:
            return Fatal(
                f"the broker at {address} does not speak TLS; check LESSON_PROGRESS_KAFKA__BOOTSTRAP_SERVERS and "
                "LESSON_PROGRESS_KAFKA__SECURITY_PROTOCOL"
            )
        case SaslAuthenticationFailed() | AuthenticationFailedError():
            return Fatal(
                f"the broker at {address} refuses the user {settings.username!r}; check "
                "LESSON_PROGRESS_KAFKA__USERNAME and LESSON_PROGRESS_KAFKA__PASSWORD"
            )
        case UnsupportedSaslMechanismError():
            return Fatal(
                f"the broker at {address} does not offer {settings.sasl_mechanism}; check "
                "LESSON_PROGRESS_KAFKA__SASL_MECHANISM"
            )
        case KafkaError():
            return refusal_for_good(failure)
    return None


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    for variable, path in _files(settings):
        try:
            with open(path, "rb"):  # noqa: PTH123 - only to see that it can be read, and to say which one cannot
                pass
        except OSError as failure:
            raise Fatal(f"{variable} names {path}, which cannot be read: {failure.strerror}") from None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.certificate_file is not None:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
    except (ssl.SSLError, OSError) as failure:
        named = ", ".join(variable for variable, _ in _files(settings))
        raise Fatal(f"these files are no certificates that can be used: {named} ({failure})") from None
    return context


def _files(settings: KafkaSettings) -> Iterator[tuple[str, str]]:
    for name in ("ca_file", "certificate_file", "key_file"):
        path = getattr(settings, name)
        if path is not None:
            yield f"LESSON_PROGRESS_KAFKA__{name.upper()}", path
