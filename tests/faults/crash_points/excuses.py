"""The awaits at which no process is stopped here, and why: each is looked up, and none may be reached after all."""

from tests.support.lives import Await


def excuse_of(place: Await) -> str | None:
    """The entry that excuses this await."""
    return next((entry for entry in EXCUSES if _covers(entry, place)), None)


def _covers(entry: str, place: Await) -> bool:
    where, _, text = entry.partition(" ")
    module, _, function = where.partition(":")
    if function:
        inside = place.function == function or place.function.startswith(f"{function}.")
        return place.module == module and inside and text in place.text
    return place.module == module or place.module.startswith(f"{module}.")


#: By module, by module and function, or by these and a part of what is waited for.
EXCUSES = {
    # Whoever asks over HTTP changes nothing: queries read, and answer.
    "services.progress.http": "queries: they change nothing",
    "services.progress.handlers:course_progress": "a query: it changes nothing",
    "services.progress.storage:MongoProgressStore.course_progress": "a query: it changes nothing",
    "services.progress.storage:MongoProgressStore._read_progress": "a query: it changes nothing",
    "services.progress.storage:MongoProgressStore._counted": "a query: it changes nothing",
    "services.progress.storage:MongoProgressStore.record self._refuse_foreign": "it reads: tests/integration/progress",
    "services.progress.storage:MongoProgressStore._refuse_foreign": "it reads: tests/integration/progress",
    "services.certificates.http": "queries: they change nothing",
    "services.certificates.handlers.handing_out:download": "a query: it changes nothing",
    "services.certificates.storage:MongoStore.certificate": "a query: it changes nothing",
    "services.certificates.storage:MongoStore.pdf": "a query: it changes nothing",
    "shared.bearer": "queries: they change nothing",
    "shared.identity.verifier:TokenVerifier.authenticate": "the caller of a query",
    "shared.mongo.gathering": "queries: they change nothing",
    "shared.observability.health": "health checks: they change nothing",
    "shared.kafka.assembly:KafkaSide.check": "a health check: it changes nothing",
    # Operators' audits and verifications: processes of their own, which read.
    "services.progress.inspection:Judge": "a verification: it reads",
    "services.progress.inspection:build_judge": "a verification: it reads",
    "services.progress.handlers:examine": "a verification: it reads",
    "services.progress.messaging:verdicts": "a verification: it reads",
    "services.progress.storage:MongoProgressStore.recorded_after": "a verification: it reads",
    "services.progress.storage:MongoProgressStore.record_count": "a verification: it reads",
    "services.recalculator.inspection:Auditor": "the operator's audit: it reads",
    "services.recalculator.inspection:build_auditor": "the operator's audit: it reads",
    "services.recalculator.inspection:Judge": "a verification: it reads",
    "services.recalculator.inspection:build_judge": "a verification: it reads",
    "services.recalculator.handlers:differences": "the operator's audit: it reads",
    "services.recalculator.handlers:examine": "a verification: it reads",
    "services.recalculator.messaging.judging": "a verification: it reads",
    "services.recalculator.storage:MongoRecalculatorStore.enrollment_count": "the operator's audit: it reads",
    "services.recalculator.storage:MongoRecalculatorStore.changes": "a verification: it reads",
    "services.recalculator.storage:MongoRecalculatorStore.latest_change": "a verification: it reads",
    "services.certificates.inspection:Auditor": "the operator's audit: it reads",
    "services.certificates.inspection:build_auditor": "the operator's audit: it reads",
    "services.certificates.inspection:Judge": "a verification: it reads",
    "services.certificates.inspection:build_judge": "a verification: it reads",
    "services.certificates.auditing": "the operator's audit: it reads",
    "services.certificates.handlers.auditing": "the operator's audit: it reads",
    "services.certificates.handlers.examining": "a verification: it reads",
    "services.certificates.messaging.judging": "a verification: it reads",
    "services.certificates.storage:MongoStore.existing": "a verification: it reads",
    "services.certificates.storage:MongoStore.completed_by": "a verification: it reads",
    "services.certificates.storage:MongoStore.every_certificate": "a verification: it reads",
    "services.certificates.storage:MongoStore.certificates_after": "a verification: it reads",
    "services.certificates.storage:MongoStore.told_after": "a verification: it reads",
    "services.certificates.storage:MongoStore.whole_files": "a verification: it reads",
    "shared.identity.key_memory:Recalled": "a verification: it reads",
    "shared.kafka.judging": "a verification: it reads",
    "shared.mongo.batches:Batches.page": "a verification: it reads",
    "shared.identity.verifier:TokenVerifier.authenticate_batch sleep": "a breath between signatures",
    "shared.kafka.admission:Admission.admit self.admit(": "a bug of the admission itself: tests/unit/shared/kafka",
    # The outermost shell: what is below it is stopped here, the shell with real processes.
    "services.certificates.render.workers": "worker processes: tests/unit/certificates/test_render_processes.py",
    "shared.service:Service.run": "HTTP beside the work: real processes",
    "shared.service:Service.stopping": "HTTP beside the work: real processes",
    "shared.service:run_until_signalled.main": "signals: real processes",
    "shared.service:_leave_in_time": "signals: real processes",
    "shared.serving": "the HTTP server: real processes",
    "shared.ending:end": "ends the shell: real processes",
    "shared.service:Service._unless_stopped cancelled": "a start that is given up: nothing was done yet",
    # Real connections: what they bring is scripted here.
    "shared.identity.key_sources": "files and HTTP: it reads",
    "shared.kafka.connection:connected reason_of": "a connection that fails: nothing was done yet",
    "shared.kafka.connection:reason_of": "a connection that fails: nothing was done yet",
    "shared.kafka.connection:at_the_door": "a connection that fails: nothing was done yet",
    "shared.kafka.connection:disconnected": "the end of an operator's own consumer: it reads",
    "shared.kafka.connection:stopped": "the client's own end: tests/unit/shared/kafka/test_connection.py",
    "shared.kafka.assembly:KafkaSide._started_producer stop": "a start that fails: nothing was done yet",
    "shared.kafka.assembly:KafkaSide.start stop": "a start that fails: nothing was done yet",
    "shared.kafka.assembly:KafkaSide.start reason_of": "a start that fails: nothing was done yet",
    "shared.kafka.assembly:KafkaSide.watch_connection self._existing_topics": "looks for the broker",
    "shared.kafka.assembly:KafkaSide.watch_connection at_the_door": "looks for the broker",
    "shared.resources:Resources.watch_database ping": "looks for the database: it changes nothing",
    "shared.resources:Resources.watch_keys wait_ready": "ends the service when the keys are no longer kept fresh",
    "shared.kafka.fetching": "the client's own fetches: tests/unit/shared/kafka/test_fetching.py",
    "shared.kafka.subscription:_Broker._connect": "the client's own start",
    "shared.kafka.provisioning": "topics are made and checked before anything is consumed",
    "shared.mongo.batches:Batches.update start_session": "a setting of a stack alone (ADR 0015)",
    "shared.mongo.batches:Batches.update session": "a setting of a stack alone (ADR 0015)",
}
