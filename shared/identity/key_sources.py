"""Where a key set is published: a file beside the service, or the issuer's address."""

import asyncio
from pathlib import Path
from typing import Protocol

import httpx

from shared.errors import Fatal, Transient

#: The largest key set that is read, in bytes.
MAX_BYTES = 256 * 1024
_LAST_PORT = 65_535


class KeySetSource(Protocol):
    """The place a key set comes from."""

    @property
    def local(self) -> bool:
        """Whether a failure at start is a wrong configuration (a file) and not an outage (an address)."""

    async def fetch(self) -> bytes:
        """The document as it is now, at most `MAX_BYTES` long.

        Raises:
            Transient: it cannot be had now; the text says why.
        """


class FileSource:
    """A key set in a file, read anew each time so that a replaced file is noticed."""

    local = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return f"the key set file {self._path}"

    async def fetch(self) -> bytes:
        """The file's bytes.

        Raises:
            Transient: it cannot be read, or is too large.
        """
        return await asyncio.to_thread(self._read)

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                document = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise Transient(f"it cannot be read ({type(error).__name__})") from error
        _check_size(document)
        return document


class HttpSource:
    """A key set at an http or https address; redirects are not followed, so the scheme stays what was configured.

    `timeout_s` is how long the whole answer may take, in seconds.

    Raises:
        Fatal: the address is not an absolute http or https address.
    """

    local = False

    def __init__(self, url: str, *, timeout_s: float = 5.0, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = _address(url)
        self._timeout_s = timeout_s
        self._transport = transport

    def __str__(self) -> str:
        return f"the key set address {self._url.copy_with(userinfo=b'', query=None)}"

    async def fetch(self) -> bytes:
        """The body of a 200 answer.

        Raises:
            Transient: no whole answer in time, another status, or too large a body.
        """
        try:
            async with asyncio.timeout(self._timeout_s), httpx.AsyncClient(transport=self._transport) as web:
                return await self._get(web)
        except (httpx.HTTPError, OSError) as error:
            raise Transient(f"it does not answer ({type(error).__name__})") from error

    async def _get(self, web: httpx.AsyncClient) -> bytes:
        # An encoded body is not asked for and not decoded: a small one could unfold to any size.
        headers = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
        async with web.stream("GET", self._url, headers=headers, follow_redirects=False) as answer:
            if answer.status_code != httpx.codes.OK:
                raise Transient(f"it answered {answer.status_code}")
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                _check_size(body)
            return bytes(body)


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
        possible = address.scheme in {"http", "https"} and bool(address.host) and (address.port or 0) <= _LAST_PORT
    except (httpx.InvalidURL, ValueError):  # ValueError: a host name that is none (IDNA)
        possible = False
    if not possible:
        raise Fatal("The key set's address must begin with https:// or http:// and name a host.")
    return address


def _check_size(document: bytes | bytearray) -> None:
    if len(document) > MAX_BYTES:
        raise Transient(f"it is larger than {MAX_BYTES} bytes")
