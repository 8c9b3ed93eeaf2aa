"""Whether a program answers: asked in its own protocol, never by its log."""

import asyncio
from contextlib import suppress

import httpx
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from pydantic import SecretStr

from shared.errors import Transient
from shared.mongo.client import connect, ping
from shared.settings import MongoSettings

_PATIENCE_SECONDS = 2.0


async def broker_answers(host: str, port: int) -> bool:
    """Whether a Kafka broker lists its topics here."""
    if not await _listens(host, port):
        return False
    admin = AIOKafkaAdminClient(bootstrap_servers=f"{host}:{port}", request_timeout_ms=int(_PATIENCE_SECONDS * 1000))
    try:
        await admin.start()
        await admin.list_topics()
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
    return True


async def database_answers(host: str, port: int) -> bool:
    """Whether a MongoDB server answers a ping here."""
    if not await _listens(host, port):
        return False
    address = f"mongodb://{host}:{port}/?directConnection=true"
    client = connect(MongoSettings(uri=SecretStr(address), timeout_ms=int(_PATIENCE_SECONDS * 1000)), service="stack")
    try:
        await ping(client.get_database("admin"))
    except Transient:
        return False
    finally:
        client.close()
    return True


async def service_answers(url: str) -> bool:
    """Whether a service says that it is ready."""
    async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE_SECONDS) as web:
        try:
            answer = await web.get(f"{url}/health/ready")
        except httpx.TransportError:
            return False
    return answer.status_code == httpx.codes.OK


async def _listens(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True
