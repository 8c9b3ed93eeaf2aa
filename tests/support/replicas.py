"""Whole services over a scripted outside: what `build_app` wires, with a log, a database and a mail server in memory.

Everything from the subscription inwards is the product's own: its start, its consume loop, its commit task, its stores,
whatever it runs in the background, its drain. A replica lives in a `Life`, which a test can end or freeze.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from functools import cache
from types import SimpleNamespace
from typing import Any, Protocol, Self
from unittest import mock

from aiokafka import TopicPartition
from aiosmtplib import SMTPServerDisconnected
from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from services.certificates.app import build_app as build_certificates
from services.certificates.render.page import CertificatePage, GlyphMissing, Rendered
from services.certificates.settings import CertificatesSettings, EmailSettings
from services.certificates.settings import Settings as Certificates
from services.progress.app import build_app as build_progress
from services.progress.settings import ProgressSettings
from services.progress.settings import Settings as Progress
from services.recalculator.app import build_app as build_recalculator
from services.recalculator.auditing import BackgroundAudits
from services.recalculator.settings import RecalculatorSettings
from services.recalculator.settings import Settings as Recalculator
from shared.clock import Clock
from shared.errors import Transient
from shared.kafka.records import Record
from shared.service import Service
from shared.settings import AuthSettings
from tests.support.documents import Documents
from tests.support.fakes import FakeConsumer, FakeLog, FakeProducer, Refusal, Steps
from tests.support.issuer import AUDIENCE, ISSUER, Signer
from tests.support.key_set import FakeSource
from tests.support.lives import LIFE, Life, reach

SERVICES = ("progress", "recalculator", "certificates")
#: Names that no page shows, or that end the worker which typesets them.
UNSHOWN, DEADLY = "\U00013080", "deadly"
_LOOK_SECONDS, _LONGEST_LOOK_SECONDS = 0.01, 0.1
#: How soon an e-mail that was not accepted is tried again (ms): soon.
_EMAIL_LEASE_MS = 3_000


class LivedSteps(Steps):
    """The steps of the fakes, as points of the life that takes them."""

    async def reach(self, name: str) -> None:
        await asyncio.sleep(0)
        await reach(name)


class Outside:
    """What every process of every service shares, and what a test does to it."""

    def __init__(self, clock: Clock, signer: Signer, *, partitions: int = 2) -> None:
        self.clock = clock
        self.steps = LivedSteps()
        self.log = FakeLog(clock, partitions=partitions)
        self.db = Documents()
        self.source = FakeSource(signer)
        self.groups = {service: Group() for service in SERVICES}
        #: The broker refuses a message; or takes it, and its acknowledgement is lost; or never answers for a topic.
        self.refuse: Refusal = lambda _topic, _value: None
        self.lose: Refusal = lambda _topic, _value: None
        self.silent: set[str] = set()
        #: The errors of the next commits of each service.
        self.commit_failures: dict[str, list[Exception]] = {service: [] for service in SERVICES}
        #: Cleared by a test, it keeps pages from being made.
        self.pages = asyncio.Event()
        self.pages.set()
        #: Message-IDs the mail server accepted; the errors of its next dialogues.
        self.mailed: list[str] = []
        self.mail_failures: list[Exception] = []

    @contextmanager
    def connected(self) -> Iterator[None]:
        """While this is open, services that are built reach this outside and no other."""
        with ExitStack() as stack:
            for name, stand_in in {
                # What answers HTTP takes no part here, and costs more to build than all the rest.
                "services.progress.app.router": lambda *_: APIRouter(),
                "services.certificates.app.router": lambda *_: APIRouter(),
                "shared.resources.health_router": lambda **_: APIRouter(),
                "shared.resources.version": _version,
                "shared.kafka.assembly.version": _version,
                "services.certificates.handlers.handing_out.EMAIL_LEASE_MS": _EMAIL_LEASE_MS,
                "services.recalculator.app.BackgroundAudits": _audits,
                "shared.resources.connect": lambda *_, **__: SimpleNamespace(close=lambda: None),
                "shared.resources.database": lambda *_: self.db,
                "shared.resources._source": lambda _: self.source,
                "shared.resources.asyncio.to_thread": _at_once,
                "shared.kafka.assembly.check_topics": _nothing_missing,
                "shared.kafka.assembly.make_producer": lambda *_, **__: LivedProducer(self),
                "shared.kafka.subscription._Broker": lambda *_, **settings: ScriptedBroker(self, settings["client_id"]),
                "services.certificates.render.typesetting.Renderer": lambda **_: ScriptedRenderer(self),
                "services.certificates.delivery.SMTP": lambda **_: ScriptedMailServer(self),
            }.items():
                stack.enter_context(mock.patch(name, stand_in))
            yield


class Replica:
    """One process of a service, from its start to its end."""

    def __init__(self, service: Service, life: Life) -> None:
        self.service = service
        self.life = life
        context = copy_context()
        context.run(LIFE.set, life)
        self.task = asyncio.get_running_loop().create_task(service._work(), context=context)


def start(name: str, outside: Outside, life: Life, *, batch_size: int = 1000, page: int = 2) -> Replica:
    """A new process of this service."""
    build, settings = _composed(name, batch_size, page)
    return Replica(build(settings, clock=outside.clock, registry=CollectorRegistry()), life)


@cache
def _composed(name: str, batch_size: int, page: int) -> tuple[Callable[..., Service], Any]:
    auth = AuthSettings(issuer=ISSUER, audience=AUDIENCE, refresh_seconds=1)
    if name == "progress":
        return build_progress, Progress(auth=auth, progress=ProgressSettings(batch_size=batch_size))
    if name == "recalculator":
        # Everything that is done now and then is done soon.
        own = RecalculatorSettings(
            batch_size=batch_size, sweep_page=page, sweep_poll_seconds=0.5, audit_page=page, audit_seconds=1.0,
            audit_rate=100, audit_poll_seconds=0.3, audit_settle_seconds=0.1, ratio_seconds=1.0,
        )  # fmt: skip
        return build_recalculator, Recalculator(auth=auth, recalculator=own)
    email = EmailSettings(enabled=True, tls="none")
    made = CertificatesSettings(batch_size=min(batch_size, 500), uncertified_seconds=1.0, email=email)
    return build_certificates, Certificates(auth=auth, certificates=made)


class Group:
    """A consumer group: its members share the partitions anew whenever one comes or goes."""

    def __init__(self) -> None:
        self.members: list[ScriptedSubscriber] = []
        self.generation = 0

    def join(self, member: "ScriptedSubscriber") -> None:
        self.members.append(member)
        self.generation += 1

    def leave(self, member: "ScriptedSubscriber") -> None:
        """A member says goodbye, or was silent for too long."""
        if member in self.members:
            self.members.remove(member)
            self.generation += 1

    def share(self, member: "ScriptedSubscriber", partitions: set[TopicPartition]) -> set[TopicPartition]:
        """The partitions of one member."""
        return set(sorted(partitions)[self.members.index(member) :: len(self.members)])


class Listener(Protocol):
    """Who hears of a rebalance."""

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """These are no longer ours."""

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """These are ours now."""


class LivedConsumer(FakeConsumer):
    """A consumer whose commits may fail as the test wants."""

    def __init__(self, outside: Outside, service: str) -> None:
        super().__init__(outside.log, (), outside.steps)
        self.commit_failures = outside.commit_failures[service]

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        super().assign(partitions)
        self.position = _Positions(self.position)


class _Positions(dict[TopicPartition, int]):
    """Positions to look at, for tests, and to ask for, as the library's consumer is asked."""

    async def __call__(self, partition: TopicPartition) -> int:
        await reach("before a position is told")
        return self[partition]


class ScriptedSubscriber:
    """FastStream's subscriber: gives the loop batch after batch, and follows the group."""

    def __init__(self, outside: Outside, service: str, topics: Sequence[str], listener: Listener, most: int) -> None:
        self._outside = outside
        self._group = outside.groups[service]
        self._partitions = outside.log.partitions_of(topics)
        self._listener = listener
        self._most = most
        self._service = service
        self.life = LIFE.get()
        self._handler: Callable[[Sequence[Record]], Awaitable[None]] | None = None
        self._generation = 0
        self.released = 0
        self.consumer: LivedConsumer | None = None
        self.tasks: list[asyncio.Task[None]] = []

    def __call__(self, handler: Callable[[Sequence[Record]], Awaitable[None]]) -> None:
        self._handler = handler

    async def start(self) -> None:
        self.consumer = LivedConsumer(self._outside, self._service)
        self._group.join(self)
        self.tasks = [asyncio.create_task(self._feed()), asyncio.create_task(self._follow())]

    async def stop(self) -> None:
        await reach("before the group is left")
        for task in self.tasks:
            task.cancel()
        self._group.leave(self)

    async def _feed(self) -> None:
        assert self.consumer is not None
        assert self._handler is not None
        idle = 0.0
        while True:
            records = self.consumer.poll(self._most)
            if records:
                await self._handler(records)
            idle = 0.0 if records else min(_LONGEST_LOOK_SECONDS, idle * 2 or _LOOK_SECONDS)
            await asyncio.sleep(idle)

    async def _follow(self) -> None:
        """Take part in every rebalance: give everything back, wait for the others, take a share."""
        assert self.consumer is not None
        while True:
            if self._generation != self._group.generation:
                held = set(self.consumer.position)
                if held:
                    await self._listener.on_partitions_revoked(held)
                    self.consumer.assign(())
                if self not in self._group.members:
                    self._group.join(self)
                generation = self.released = self._group.generation
                await self._until_released(generation)
                if self._group.generation == generation:
                    share = self._group.share(self, self._partitions)
                    self.consumer.assign(share)
                    await self._listener.on_partitions_assigned(share)
                    self._generation = generation
            await asyncio.sleep(_LONGEST_LOOK_SECONDS)
            await reach("a look at the group")

    async def _until_released(self, generation: int) -> None:
        while self._group.generation == generation and any(m.released < generation for m in self._group.members):  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(_LOOK_SECONDS)


class ScriptedBroker:
    """FastStream's broker."""

    def __init__(self, outside: Outside, client_id: str) -> None:
        self._outside = outside
        self._service = client_id.removeprefix("lesson-progress-")
        self._subscriber: ScriptedSubscriber | None = None

    def subscriber(self, *topics: str, listener: Listener, max_records: int, **_settings: Any) -> ScriptedSubscriber:
        self._subscriber = ScriptedSubscriber(self._outside, self._service, topics, listener, max_records)
        return self._subscriber

    async def start(self) -> None:
        await reach("before the group is joined")
        if self._subscriber is not None:
            await self._subscriber.start()

    async def stop(self) -> None:
        if self._subscriber is not None:
            await self._subscriber.stop()


class LivedProducer(FakeProducer):
    """A producer that can be started and stopped, and meets the broker's troubles of the moment."""

    def __init__(self, outside: Outside) -> None:
        super().__init__(outside.log, outside.steps)
        self.refuse = lambda topic, value: outside.refuse(topic, value)  # noqa: PLW0108 - the trouble of that moment
        self.lose = lambda topic, value: outside.lose(topic, value)  # noqa: PLW0108 - the same
        self.silent = outside.silent
        self.client = self

    async def start(self) -> None:
        await reach("before the producer starts")

    async def stop(self) -> None:
        await reach("before the producer stops")

    async def fetch_all_metadata(self) -> Any:
        await reach("before the topics are listed")
        return SimpleNamespace(topics=lambda: set(self._log.topics))


class ScriptedRenderer:
    """Pages as text; a page may fail, or end its worker."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def start(self) -> None:
        await reach("before the workers start")

    async def render_many(self, pages: Sequence[CertificatePage]) -> list[Rendered]:
        await reach("before pages are typeset")
        await self._outside.pages.wait()
        if any(DEADLY in page.recipient_name for page in pages):
            raise Transient("a worker died")
        made: list[Rendered] = [
            GlyphMissing("recipient_name")
            if UNSHOWN in page.recipient_name
            else f"{page.certificate_id}|{page.recipient_name}|{page.course_title}|{page.issued_on}".encode()
            for page in pages
        ]
        await reach("after pages were typeset")
        return made

    async def close(self) -> None:
        await reach("before the workers end")


class ScriptedMailServer:
    """aiosmtplib's client: a dialogue that accepts, or breaks off."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def __aenter__(self) -> Self:
        await reach("before the mail server greets")
        if self._outside.mail_failures:
            raise self._outside.mail_failures.pop(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await reach("before the mail server is left")

    async def send_message(self, mail: Any, **_addresses: Any) -> None:
        await reach("before an e-mail is handed over")
        self._outside.mailed.append(mail["Message-ID"])
        await reach("after an e-mail was handed over")


MAIL_SERVER_AWAY = SMTPServerDisconnected("the connection is gone")


def _audits(*args: Any, **named: Any) -> BackgroundAudits:
    return BackgroundAudits(*args, **named, monotonic=asyncio.get_running_loop().time)


@cache
def _version(_distribution: str) -> str:
    return "1.2.3"


async def _at_once(work: Callable[..., Any], *args: Any) -> Any:
    await asyncio.sleep(0)
    return work(*args)


async def _nothing_missing(*_: object) -> None:
    await asyncio.sleep(0)
