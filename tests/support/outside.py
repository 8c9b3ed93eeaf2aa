"""The outside that all processes of all services share in memory: a log, a database, keys, a mail server."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest import mock

from fastapi import APIRouter

from services.recalculator.auditing import BackgroundAudits
from shared.clock import Clock
from shared.contracts.topics import SERVICES
from tests.support.documents import Documents
from tests.support.fake_clients import Refusal
from tests.support.fake_log import FakeLog
from tests.support.issuer import Signer
from tests.support.key_set import FakeSource
from tests.support.lives import reach
from tests.support.scripted_broker import Group, LivedProducer, ScriptedBroker
from tests.support.scripted_mail_server import ScriptedMailServer
from tests.support.scripted_renderer import ScriptedRenderer
from tests.support.steps import Steps

#: How soon an e-mail that was not accepted is tried again (ms): soon.
_EMAIL_LEASE_MS = 3_000


class LivedSteps(Steps):
    """The steps of the fakes, as points of the life that takes them."""

    async def reach(self, name: str) -> None:
        await super().reach(name)
        await reach(name)


class Outside:
    """What every process of every service shares, and what a test does to it."""

    def __init__(self, clock: Clock, signer: Signer, *, partitions: int = 2) -> None:
        self.clock = clock
        self.steps = LivedSteps()
        self.log = FakeLog(clock, partitions=partitions)
        self.db = Documents()
        self.source = FakeSource(signer)
        self.groups: dict[str, Group] = {service: Group() for service in SERVICES}
        #: The broker refuses a message; or takes it, and its acknowledgement is lost; or never answers for a topic.
        self.refuse: Refusal = lambda _topic, _value: None
        self.lose: Refusal = lambda _topic, _value: None
        self.silent: set[str] = set()
        #: The errors of the next commits of each service.
        self.commit_failures: dict[str, list[BaseException]] = {service: [] for service in SERVICES}
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
