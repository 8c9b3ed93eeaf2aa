"""Defects planted in a healthy run in memory, one of each kind, and what else each of them makes wrong."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import orjson
from aiokafka import TopicPartition

from services.certificates.domain import Certificate, Notification
from shared.contracts.certificates import CertificateIssued
from shared.contracts.ids import notification_id
from shared.contracts.topics import (
    CERTIFICATE_ISSUED,
    ENROLLMENT_PROGRESSED,
    LESSON_COMPLETED,
    NOTIFICATION_CREATED,
    PROGRESS_COMMANDS,
)
from shared.kafka.deadletter import dead_letter
from shared.kafka.records import Record
from shared.kafka.retries import Attempts
from shared.verification import Defect
from tests.support.builders import completion, enrollment_id, event, record
from tests.support.issuer import NOW
from tests.support.verified import ADA, BEN, CAROL, LESSONS, Run, asked

DEAD_LETTERS = "progress.deadletters"


@dataclass(frozen=True)
class Planted:
    """A defect to plant; `plant` answers what the finding must name. `also` may follow from it."""

    kind: Defect
    plant: Callable[[Run], str]
    also: Collection[Defect] = ()


def _place(one: Record) -> str:
    return f"{one.topic}:{one.partition}:{one.offset}"


def _swallowed(run: Run) -> str:
    return _place(run.swallow(asked(CAROL, LESSONS[0]))[0])


def _beyond(run: Run) -> str:
    partition = TopicPartition(PROGRESS_COMMANDS, 0)
    run.log.committed[partition] = run.log.end(partition) + 5
    return f"progress in {PROGRESS_COMMANDS}:0"


def bury(run: Run, one: Record) -> None:
    """Write the dead letter of a record."""
    letter = dead_letter(
        one, group="progress", failure=ValueError(), attempts=Attempts(5, NOW), at=one.timestamp, version="1"
    )
    run.log.append(DEAD_LETTERS, letter.value, key=letter.key, headers=letter.headers)


def _doubled_fate(run: Run) -> str:
    first = run.stand(PROGRESS_COMMANDS)[0]
    bury(run, first)
    return _place(first)


def _missing_letter(run: Run) -> str:
    return _place(run.swallow(record(value=b"{", key=CAROL.encode()))[0])


def _altered_letter(run: Run) -> str:
    letter = run.stand(DEAD_LETTERS)[0]
    run.overwrite(letter, replace(letter, value=b"something else"))
    said = dict(letter.headers)
    names = ("topic", "partition", "offset")
    return ":".join((said[f"x-dead-letter-{name}"] or b"").decode() for name in names)


def _letter_of_nothing(run: Run) -> str:
    nowhere = record(offset=999)
    bury(run, nowhere)
    return _place(nowhere)


def _record_of_nobody(run: Run) -> str:
    fact = completion(CAROL, "preview-1", at=NOW + 3)
    run.progress.facts[CAROL, "preview-1"] = fact
    return fact.progress_id


def _record_of_another_moment(run: Run) -> str:
    fact = run.progress.facts[BEN, LESSONS[0]]
    run.progress.facts[BEN, LESSONS[0]] = fact._replace(completed_at=fact.completed_at + 77)
    return fact.progress_id


def _lost(topic: str) -> Callable[[Run], str]:
    """Take every copy of one event out of its topic: a copy of another one stands in their places."""

    def plant(run: Run) -> str:
        lost = run.stand(topic)[0]
        identity = dict(lost.headers)["ce_id"]
        other = next(one for one in run.stand(topic) if dict(one.headers)["ce_id"] != identity)
        for one in run.stand(topic):
            if dict(one.headers)["ce_id"] == identity:
                run.overwrite(one, other)
        data = orjson.loads(lost.value or b"")
        return str(data.get("progressId") or data["enrollmentId"])

    return plant


def _event_of_nothing(run: Run) -> str:
    message = CertificateIssued(
        certificate_id="nobody's", enrollment_id=enrollment_id(CAROL), user_id=CAROL, course_id="course-1",
        issued_at=NOW, verification_url="https://learn.example.org/v1/certificates/nobodys",
    )  # fmt: skip
    return _place(run.log.add(event(message, CERTIFICATE_ISSUED, key=enrollment_id(CAROL)))[0])


def _state_of_the_future(run: Run) -> str:
    latest = run.stand(ENROLLMENT_PROGRESSED)[0]
    data = orjson.loads(latest.value or b"") | {"revision": 99}
    headers = [(name, b"another" if name == "ce_id" else value) for name, value in latest.headers]
    return _place(run.log.add(replace(latest, value=orjson.dumps(data), headers=tuple(headers)))[0])


def _reused(run: Run) -> str:
    one = run.stand(NOTIFICATION_CREATED)[0]
    other = (one.value or b"").replace(b'"title":"', b'"title":"Another ')
    return _place(run.log.add(replace(one, value=other))[0])


def _contradiction(run: Run) -> str:
    newest = run.stand(ENROLLMENT_PROGRESSED)[0]
    identity = dict(newest.headers)["ce_id"]
    for one in run.stand(ENROLLMENT_PROGRESSED):
        if dict(one.headers)["ce_id"] == identity:
            run.overwrite(one, replace(one, value=(one.value or b"").replace(b"100.0", b"99.0")))
    return _place(newest)


def _percentage(run: Run) -> str:
    key = enrollment_id(BEN)
    stored = run.recalculator.stored[key]
    run.recalculator.stored[key] = replace(stored, progress=replace(stored.progress, percent=75.0))
    return key


def _moment(run: Run) -> str:
    key = enrollment_id(ADA)
    stored = run.recalculator.stored[key]
    moment = run.clock() + 1000
    run.recalculator.stored[key] = replace(stored, progress=replace(stored.progress, completed_at=moment))
    run.share_completions()
    return key


def _no_certificate(run: Run) -> str:
    del run.certificates.stored[enrollment_id(ADA)]
    return enrollment_id(ADA)


def _two_certificates(run: Run) -> str:
    mine = run.certificates.stored[enrollment_id(ADA)]
    run.certificates.doubles.append(replace(mine, certificate_id="another"))
    return enrollment_id(ADA)


def _half_a_certificate(run: Run) -> str:
    mine = run.certificates.stored[enrollment_id(ADA)]
    run.certificates.stored[enrollment_id(ADA)] = replace(mine, status="rendered")
    return enrollment_id(ADA)


def _unearned(run: Run) -> str:
    key = enrollment_id(BEN)
    run.certificates.stored[key] = Certificate("unearned", key, BEN, "course-1", "Ben", "Engines", None)
    return key


def _no_file(run: Run) -> str:
    mine = run.certificates.stored[enrollment_id(ADA)]
    del run.certificates.files[mine.file_id or ""]
    return enrollment_id(ADA)


def _untold(run: Run) -> str:
    del run.certificates.notifications[notification_id("course_completed", enrollment_id(ADA))]
    return enrollment_id(ADA)


def _told_twice(run: Run) -> str:
    told = run.certificates.notifications[notification_id("certificate_ready", enrollment_id(ADA))]
    run.certificates.notifications["again"] = replace(told, notification_id="again")
    return "again"


def _told_for_nothing(run: Run) -> str:
    key = notification_id("course_completed", enrollment_id(BEN))
    for_nothing = Notification(key, BEN, "course_completed", "Well done", "Well done", "https://x.example/", NOW)
    run.certificates.notifications[key] = for_nothing
    return key


def _torn(run: Run) -> str:
    run.torn.append(("notifications", {"_id": "torn", "userId": BEN, "kind": "course_completed"}))
    return "notifications torn"


def _unsettled(run: Run) -> str:
    return _place(run.send(asked(CAROL, LESSONS[0]))[0])


_D = Defect
PLANTED = (
    Planted(_D.SWALLOWED_COMMAND, _swallowed, {_D.COMMITTED_BEYOND_FINISHED}),
    Planted(_D.DOUBLED_FATE, _doubled_fate),
    Planted(_D.MISSING_DEAD_LETTER, _missing_letter, {_D.COMMITTED_BEYOND_FINISHED}),
    Planted(_D.DEAD_LETTER_ALTERED, _altered_letter),
    Planted(_D.DEAD_LETTER_WITHOUT_RECORD, _letter_of_nothing),
    Planted(_D.RECORD_WITHOUT_COMMAND, _record_of_nobody),
    Planted(_D.COMMITTED_BEYOND_FINISHED, _beyond),
    Planted(_D.LOST_EVENT, _lost(LESSON_COMPLETED)),
    Planted(_D.LOST_EVENT, _lost(ENROLLMENT_PROGRESSED)),
    Planted(_D.LOST_EVENT, _lost("course.completed")),
    Planted(_D.LOST_EVENT, _lost(CERTIFICATE_ISSUED)),
    Planted(_D.EVENT_WITHOUT_FACT, _event_of_nothing),
    Planted(_D.EVENT_WITHOUT_FACT, _state_of_the_future),
    Planted(_D.EVENT_ID_REUSED, _reused),
    Planted(_D.EVENT_CONTRADICTS_FACT, _contradiction),
    Planted(_D.WRONG_PERCENTAGE, _percentage, {_D.EVENT_CONTRADICTS_FACT}),
    Planted(_D.WRONG_COMPLETED_AT, _moment, {_D.EVENT_CONTRADICTS_FACT}),
    Planted(_D.WRONG_COMPLETED_AT, _record_of_another_moment, {_D.EVENT_CONTRADICTS_FACT}),
    Planted(_D.MISSING_CERTIFICATE, _no_certificate, {_D.EVENT_WITHOUT_FACT}),
    Planted(_D.DOUBLED_CERTIFICATE, _two_certificates, {_D.LOST_EVENT}),
    Planted(_D.UNFINISHED_CERTIFICATE, _half_a_certificate),
    Planted(_D.CERTIFICATE_WITHOUT_COMPLETION, _unearned),
    Planted(_D.MISSING_FILE, _no_file),
    Planted(_D.DOUBLED_NOTIFICATION, _told_twice),
    Planted(_D.NOTIFICATION_WITHOUT_COMPLETION, _told_for_nothing),
    Planted(_D.MISSING_NOTIFICATION, _untold, {_D.EVENT_WITHOUT_FACT}),
    Planted(_D.UNREADABLE_DOCUMENT, _torn),
    Planted(_D.UNSETTLED, _unsettled),
)
