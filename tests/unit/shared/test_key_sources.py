"""Where a key set is read from: a file or an address, within bounds."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from shared.errors import Fatal, Transient
from shared.identity.key_sources import MAX_BYTES, FileSource, HttpSource


def at(handler: object, url: str = "https://issuer.example/jwks") -> HttpSource:
    return HttpSource(url, timeout_s=0.05, transport=httpx.MockTransport(handler))  # type: ignore[arg-type]


def body(content: bytes) -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(content))


class TestAFile:
    async def test_is_read_anew_each_time(self, tmp_path: Path) -> None:
        path = tmp_path / "jwks.json"
        source = FileSource(path)
        for document in (b"first", b"second"):
            path.write_bytes(document)
            assert await source.fetch() == document

    async def test_that_cannot_be_read_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(Transient, match="FileNotFoundError"):
            await FileSource(tmp_path / "absent").fetch()
        with pytest.raises(Transient, match="IsADirectoryError"):
            await FileSource(tmp_path).fetch()

    async def test_has_a_largest_size(self, tmp_path: Path) -> None:
        path = tmp_path / "jwks.json"
        path.write_bytes(b" " * MAX_BYTES)
        assert len(await FileSource(path).fetch()) == MAX_BYTES
        path.write_bytes(b" " * (MAX_BYTES + 1))
        with pytest.raises(Transient, match="larger"):
            await FileSource(path).fetch()


class TestAnAddress:
    async def test_gives_the_body_of_its_answer(self) -> None:
        assert await at(lambda _: body(b"keys")).fetch() == b"keys"

    @pytest.mark.parametrize("status", [204, 304, 401, 404, 500, 503])
    async def test_that_answers_anything_else_has_no_set(self, status: int) -> None:
        with pytest.raises(Transient, match=f"answered {status}"):
            await at(lambda _: httpx.Response(status, content=b"keys")).fetch()

    @pytest.mark.parametrize("location", ["http://issuer.example/jwks", "https://other.example/", "file:///etc/passwd"])
    async def test_that_sends_elsewhere_is_not_followed(self, location: str) -> None:
        asked = []

        def redirect(request: httpx.Request) -> httpx.Response:
            asked.append(request.url)
            return httpx.Response(302, headers={"Location": location})

        with pytest.raises(Transient, match="answered 302"):
            await at(redirect).fetch()
        assert len(asked) == 1

    async def test_that_cannot_be_reached_says_so(self) -> None:
        def refuse(_: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused")

        with pytest.raises(Transient, match="ConnectError"):
            await at(refuse).fetch()

    async def test_has_a_time_for_the_whole_answer(self) -> None:
        class Trickle(httpx.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                while True:
                    await asyncio.sleep(0.001)
                    yield b" "

        with pytest.raises(Transient, match="TimeoutError"):
            await at(lambda _: httpx.Response(200, stream=Trickle())).fetch()

    async def test_has_a_largest_answer(self) -> None:
        assert len(await at(lambda _: body(b" " * MAX_BYTES)).fetch()) == MAX_BYTES
        with pytest.raises(Transient, match="larger"):
            await at(lambda _: body(b" " * (MAX_BYTES + 1))).fetch()

    async def test_is_not_asked_for_a_body_that_unfolds(self) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            assert request.headers["accept-encoding"] == "identity"
            return httpx.Response(200, stream=httpx.ByteStream(b"raw"), headers={"Content-Encoding": "gzip"})

        assert await at(answer).fetch() == b"raw"

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://issuer.example/",
            "file:///jwks",
            "https:///jwks",
            "//issuer.example",
            "http://[::1",
            "http://xn--/",
            "http://h:65536",
            "",
        ],
    )
    def test_must_be_an_http_address(self, url: str) -> None:
        with pytest.raises(Fatal, match="key set's address"):
            HttpSource(url)

    def test_is_named_without_its_secrets(self) -> None:
        named = str(HttpSource("https://user:secret@issuer.example/jwks?token=secret"))
        assert named == "the key set address https://issuer.example/jwks"
