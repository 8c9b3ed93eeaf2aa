"""The composition root of the recalculator: the one place where adapters meet handlers; tests call it too."""

import asyncio
import secrets
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from services.recalculator.auditing import BackgroundAudits, Pace
from services.recalculator.http import application
from services.recalculator.messaging import ACCEPTS, RecalculatorMessages, Sweeps
from services.recalculator.metrics import RecalculatorMetrics
from services.recalculator.ports import RecalculatorStore
from services.recalculator.settings import RecalculatorSettings, Settings
from services.recalculator.storage import MongoRecalculatorStore
from shared.clock import Clock, system_clock
from shared.kafka.assembly import KafkaSide
from shared.resources import Resources
from shared.service import Service


def build_app(
    settings: Settings,
    *,
    store: RecalculatorStore | None = None,
    clock: Clock = system_clock,
    registry: CollectorRegistry | None = None,
) -> Service:
    """Wire the recalculator; nothing is opened before the service runs.

    Raises:
        Fatal: a setting cannot be used.
    """
    own = settings.recalculator
    registry = registry or CollectorRegistry()
    metrics = RecalculatorMetrics(registry)
    resources = Resources("recalculator", settings, clock)
    mongo_store = MongoRecalculatorStore(resources.db, settings.mongo)
    store = store or mongo_store
    sweep_requested = asyncio.Event()
    kafka = KafkaSide(
        "recalculator",
        settings=settings.kafka,
        batch_size=own.batch_size,
        accepts=ACCEPTS,
        handler=RecalculatorMessages(store, metrics, clock, sweep_requested),
        observer=lambda *_: None,
        verifier=resources.verifier,
        clock=clock,
        registry=registry,
        fatal=lambda failure: service.fail(failure),  # noqa: PLW0108 - the service is made below
    )
    sweeps = Sweeps(
        store,
        lambda: kafka.publisher,
        metrics,
        clock,
        page=own.sweep_page,
        poll_seconds=own.sweep_poll_seconds,
        requested=sweep_requested,
    )
    audits = BackgroundAudits(store, metrics, clock, _pace(own), name=secrets.token_hex(8))
    watch = _Watch(store, metrics, own)
    http = application(resources.version)
    resources.serve_operations(http, kafka=kafka, registry=registry)
    service = Service(
        name="recalculator",
        http=http,
        http_settings=own.http,
        resources=(lambda: resources.database(mongo_store.prepare), resources.keys),
        consuming=kafka,
        background=(
            kafka.watch_lag,
            kafka.watch_connection,
            resources.watch_database,
            resources.watch_keys,
            sweeps.run,
            watch.completion_ratios,
            audits.audit,
        ),
    )
    return service


def _pace(settings: RecalculatorSettings) -> Pace:
    return Pace(
        every_seconds=settings.audit_seconds,
        rate=settings.audit_rate,
        page=settings.audit_page,
        poll_seconds=settings.audit_poll_seconds,
        settle_seconds=settings.audit_settle_seconds,
    )


@dataclass(frozen=True, slots=True)
class _Watch:
    """Refreshes what is measured from the stored state, not from messages; to be repeated in the background."""

    store: RecalculatorStore
    metrics: RecalculatorMetrics
    settings: RecalculatorSettings

    async def completion_ratios(self) -> None:
        """Show each course's completion ratio, and wait until the next time."""
        self.metrics.completion_ratios(await self.store.completion_ratios(self.settings.ratio_courses))
        await asyncio.sleep(self.settings.ratio_seconds)
