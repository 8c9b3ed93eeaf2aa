"""Processes of whole services: what `build_app` wires, over an outside in memory.

Everything from the subscription inwards is the product's own: its start, its consume loop, its commit task, its stores,
whatever it runs in the background, its drain. A replica lives in a `Life`, which a test can end or freeze.
"""

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry

from services.certificates.app import build_app as build_certificates
from services.certificates.settings import CertificatesSettings, EmailSettings
from services.certificates.settings import Settings as Certificates
from services.progress.app import build_app as build_progress
from services.progress.settings import ProgressSettings
from services.progress.settings import Settings as Progress
from services.recalculator.app import build_app as build_recalculator
from services.recalculator.settings import RecalculatorSettings
from services.recalculator.settings import Settings as Recalculator
from shared.service import Service
from shared.settings import AuthSettings
from tests.support.issuer import AUDIENCE, ISSUER
from tests.support.lives import LIFE, Life
from tests.support.outside import Outside


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
