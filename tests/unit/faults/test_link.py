"""A link between a client and a server of a toy protocol: what is caught is held, lost, halved or changed; no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import pytest

from tests.faults.proxy.link import Link, Record
from tests.faults.proxy.traps import ANSWER, REQUEST, Fate
from tests.faults.proxy.wire import Request
from tests.support.eventually import eventually


class Lines:
    """A request is a line `id kind about`, its answer `id answer`."""

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        return await reader.readuntil(b"\n")

    def request(self, raw: bytes) -> Request:
        identity, kind, about = raw.decode().split()
        return Request(int(identity), frozenset({kind}), frozenset({about}), raw)

    def answered(self, raw: bytes) -> int:
        return int(raw.split()[0])

    def arriving(self, request: Request, answer: bytes) -> bytes:
        return answer

    def summary(self, request: Request, answer: bytes) -> str:
        return ""


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @asynccontextmanager
    async def to(cls, link: Link) -> AsyncIterator[Self]:
        client = cls(*await asyncio.open_connection("127.0.0.1", link.port))
        try:
            yield client
        finally:
            client.writer.transport.abort()

    async def ask(self, line: str) -> bytes:
        """The answer; empty when the connection ended, or what came of it."""
        self.send(line)
        return await self.answer()

    def send(self, line: str) -> None:
        self.writer.write(line.encode() + b"\n")

    async def answer(self) -> bytes:
        try:
            async with asyncio.timeout(5):
                return await self.reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as ended:
            return ended.partial
        except ConnectionError:
            return b""


class Server:
    """Answers every line with `id done`, and remembers what it has done."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.done.append(line.decode().strip())
            writer.write(line.split()[0] + b" done\n")
        writer.close()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def link(server: Server) -> AsyncIterator[Link]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    link = Link("link", f"127.0.0.1:{listening.sockets[0].getsockname()[1]}", Record())
    await link.open(lambda _host, _port: Lines())
    try:
        yield link
    finally:
        await link.close()
        listening.close()


async def test_what_is_not_caught_passes(link: Link) -> None:
    link.hold_request("write", "other")
    async with Client.to(link) as client:
        assert await client.ask("1 write things") == b"1 done\n"
        assert await client.ask("2 read other") == b"2 done\n"


async def test_a_request_that_is_held_arrives_when_it_is_let_pass(link: Link, server: Server) -> None:
    held = link.hold_request("write")
    async with Client.to(link) as client:
        client.send("1 write things")
        await held.until_caught(within=5)
        assert server.done == []

        held.let_pass()

        assert await client.answer() == b"1 done\n"


async def test_a_request_that_is_lost_never_arrives_and_its_connection_ends(link: Link, server: Server) -> None:
    link.trap(REQUEST, "write", then=Fate.LOST)
    async with Client.to(link) as client:
        assert await client.ask("1 write things") == b""
    async with Client.to(link) as client:
        assert await client.ask("2 write things") == b"2 done\n"
    assert server.done == ["2 write things"]


async def test_an_answer_that_is_lost_was_given_all_the_same(link: Link, server: Server) -> None:
    link.trap(ANSWER, "write", then=Fate.LOST)
    async with Client.to(link) as client:
        assert await client.ask("1 write things") == b""
    assert server.done == ["1 write things"]


async def test_half_of_an_answer_arrives_before_the_connection_ends(link: Link) -> None:
    link.trap(ANSWER, "write", then=Fate.HALVED)
    async with Client.to(link) as client:
        assert await client.ask("1 write things") == b"1 d"


async def test_an_answer_can_be_changed(link: Link) -> None:
    link.trap(
        ANSWER, "write", then=lambda request, answer: b"%d not %s" % (request.identity, answer.split()[1]) + b"\n"
    )
    async with Client.to(link) as client:
        assert await client.ask("1 write things") == b"1 not done\n"


async def test_only_so_many_are_caught_after_so_many_have_passed(link: Link) -> None:
    trap = link.trap(ANSWER, "write", then=Fate.LOST, after=1, times=1)
    answers = []
    for number in range(3):
        async with Client.to(link) as client:
            answers.append(await client.ask(f"{number} write things"))
    assert answers == [b"0 done\n", b"", b"2 done\n"]
    assert [caught.request.identity for caught in trap.caught] == [1]


async def test_a_held_request_of_a_client_that_is_gone_takes_place_when_it_is_let_pass(
    link: Link, server: Server
) -> None:
    held = link.hold_request("write")
    async with Client.to(link) as client:
        client.send("1 write things")
        await held.until_caught(within=5)

    held.let_pass()

    await eventually(lambda: server.done == ["1 write things"])


async def test_a_held_request_of_a_client_that_is_gone_is_lost_when_that_is_said(link: Link, server: Server) -> None:
    held = link.hold_request("write")
    async with Client.to(link) as client:
        client.send("1 write things")
        await held.until_caught(within=5)

    held.lose()

    async with Client.to(link) as another:
        await another.ask("2 read things")
    assert server.done == ["2 read things"]


async def test_a_link_that_is_cut_ends_connections_and_takes_none_until_it_is_mended(link: Link) -> None:
    async with Client.to(link) as client:
        await client.ask("1 write things")
        link.cut()
        assert await client.ask("2 write things") == b""
    async with Client.to(link) as client:
        assert await client.ask("3 write things") == b""

    link.mend()

    async with Client.to(link) as client:
        assert await client.ask("4 write things") == b"4 done\n"


async def test_a_link_that_is_joined_after_a_cut_still_catches(link: Link) -> None:
    watched = link.trap(REQUEST, "write", then=Fate.PASSED, times=None)
    link.cut()

    link.join()

    async with Client.to(link) as client:
        assert await client.ask("1 write things") == b"1 done\n"
    assert len(watched.caught) == 1


async def test_a_frozen_link_says_nothing_and_goes_on_where_it_was(link: Link, server: Server) -> None:
    async with Client.to(link) as client:
        await client.ask("1 write things")
        link.freeze()
        client.send("2 write things")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.readuntil(b"\n"), 0.1)
        assert server.done == ["1 write things"]

        link.mend()

        assert await client.answer() == b"2 done\n"


async def test_mending_lets_pass_what_is_held_and_catches_nothing_more(link: Link) -> None:
    link.hold_request("write")
    async with Client.to(link) as client:
        client.send("1 write things")
        await asyncio.sleep(0)

        link.mend()

        assert await client.answer() == b"1 done\n"


async def test_what_was_not_caught_in_time_is_said(link: Link) -> None:
    held = link.hold_request("write", "things")

    with pytest.raises(AssertionError, match="0 of 1 caught within 0 s: request write things"):
        await held.until_caught(within=0.01)
