"""The composition root of progress: the one place where adapters meet handlers; tests call it too."""

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.progress.http import router
from services.progress.messaging import ACCEPTS, ProgressMessages
from services.progress.metrics import ProgressMetrics
from services.progress.ports import ProgressStore
from services.progress.settings import Settings
from services.progress.storage import MongoProgressStore
from shared.clock import Clock, system_clock
from shared.kafka.assembly import KafkaSide
from shared.resources import Resources
from shared.service import Service


def build_app(
    settings: Settings,
    *,
    store: ProgressStore | None = None,
    clock: Clock = system_clock,
    registry: CollectorRegistry | None = None,
) -> Service:
    """Wire progress; nothing is opened before the service runs.

    Raises:
        Fatal: a setting cannot be used.
    """
    registry = registry or CollectorRegistry()
    resources = Resources("progress", settings, clock)
    mongo_store = MongoProgressStore(resources.db, settings.mongo)
    messages = ProgressMessages(store or mongo_store, ProgressMetrics(registry), clock)
    kafka = KafkaSide(
        "progress",
        settings=settings.kafka,
        batch_size=settings.progress.batch_size,
        accepts=ACCEPTS,
        handler=messages,
        observer=messages.observe,
        verifier=resources.verifier,
        clock=clock,
        registry=registry,
        fatal=lambda failure: service.fail(failure),  # noqa: PLW0108 - the service is made below
    )
    http = FastAPI(title="Lesson Progress: progress", version=resources.version, docs_url=None, redoc_url=None)
    http.include_router(router(store or mongo_store, resources.verifier, clock))
    resources.serve_operations(http, kafka=kafka, registry=registry)
    service = Service(
        name="progress",
        http=http,
        http_settings=settings.progress.http,
        resources=(lambda: resources.database(mongo_store.prepare), resources.keys),
        consuming=kafka,
        background=(kafka.watch_lag, kafka.watch_connection, resources.watch_database, resources.watch_keys),
    )
    return service
