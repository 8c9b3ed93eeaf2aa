"""The promise, checked: nothing lost, nothing doubled, over the log and the documents of all three services.

Source: reliability, "The promise"; contracts, "Events" and "The rule".
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import orjson

from shared.contracts.ids import deterministic_id, notification_id, progress_id
from shared.contracts.percentage import progress_percent
from shared.contracts.topics import is_reply_topic
from shared.kafka.records import Record
from tests.support.documents import Document, Documents
from tests.support.fake_log import FakeLog

Position = tuple[str, int, int]

SAMENESS = ("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type")
EVENTS = (
    "lesson.completed",
    "enrollment.progressed",
    "course.completed",
    "certificate.issued",
    "notification.created",
)


def said(record: Record) -> dict[str, Any]:
    """A message's data."""
    data: dict[str, Any] = orjson.loads(record.value or b"{}")
    return data


def header(record: Record, name: str) -> str:
    """A header as text; empty where it is absent."""
    return next(((value or b"").decode() for key, value in record.headers if key == name), "")


class Promise:
    """What must be true of a log and its documents once everything is done."""

    def __init__(self, log: FakeLog, db: Documents, letters: Mapping[str, Collection[Position]]) -> None:
        self._log = log
        self._db = db
        #: The records that must be dead letters, by service.
        self._expected = letters
        self._foreign = {place for places in letters.values() for place in places}

    def _read(self, topic: str) -> list[Record]:
        """What the services wrote."""
        return [r for r in self._log.read(topic) if (r.topic, r.partition, r.offset) not in self._foreign]

    def documents(self, collection: str) -> Collection[Document]:
        """Every document of a collection."""
        return self._db[collection].documents.values()

    def facts(self, accepted: Mapping[tuple[str, str], Collection[int]], *, doubtful: Collection[str] = ()) -> None:
        """One record for each learner and lesson that was completed, of the time of one of its commands; no other.

        Of `doubtful` lessons, which went before their commands were handled for sure, records may be missing.
        """
        stored = {(d["userId"], d["lessonId"]): d for d in self.documents("lessonProgress")}
        assert len(stored) == len(self.documents("lessonProgress")), "a completion is recorded twice"
        missing = {place for place in accepted.keys() - stored.keys() if place[1] not in doubtful}
        assert not missing, f"completions that are not recorded: {missing}"
        assert stored.keys() <= accepted.keys(), "a completion is recorded that nobody asked for"
        for place, document in stored.items():
            assert document["_id"] == progress_id(*place)
            assert document["completedAt"] in accepted[place], "a record's time is none of its commands'"
        told = {said(event)["progressId"]: said(event) for event in self._read("lesson.completed")}
        by_id = {d["_id"]: d for d in stored.values()}
        assert by_id.keys() <= told.keys(), "lesson.completed: a record was not told"
        assert told.keys() <= by_id.keys(), "lesson.completed: something is told that is not recorded"
        for key, data in told.items():
            assert data["completedAt"] == by_id[key]["completedAt"]

    def same_events(self) -> None:
        """One event id stands for one fact: the same bytes, whoever publishes it."""
        for topic in EVENTS:
            copies: defaultdict[str, set[object]] = defaultdict(set)
            for event in self._read(topic):
                same = tuple(header(event, name) for name in SAMENESS)
                copies[header(event, "ce_id")].add((event.key, event.value, same))
            doubled = [event_id for event_id, values in copies.items() if len(values) > 1]
            assert not doubled, f"{topic}: one id stands for several events"

    def percentages(self, catalogs: Mapping[str, list[Collection[str]]], changed_at: Collection[int]) -> None:
        """Every enrollment says what its facts say, and the last that was told of it is what is stored.

        `catalogs` are the sets of lessons that each course had, the last one being the present one.
        """
        facts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for d in self.documents("lessonProgress"):
            facts[d["userId"]][d["lessonId"]] = d["completedAt"]
        latest: dict[str, dict[str, Any]] = {}
        for event in self._read("enrollment.progressed"):
            data = said(event)
            if data["revision"] >= latest.get(data["enrollmentId"], data)["revision"]:
                latest[data["enrollmentId"]] = data
        for enrollment in self.documents("enrollments"):
            self._percentage(enrollment, facts[enrollment["userId"]], catalogs[enrollment["courseId"]], changed_at)
            self._told(enrollment, latest.get(enrollment["_id"]))

    @staticmethod
    def _percentage(
        enrollment: Document, facts: Mapping[str, int], lessons: list[Collection[str]], changed_at: Collection[int]
    ) -> None:
        done = set(facts) & set(lessons[-1])
        stored = (enrollment.get("completedLessons") or 0, enrollment.get("progressPercent") or 0)
        right = (len(done), progress_percent(len(done), len(lessons[-1])))
        assert stored == right, f"{enrollment['_id']} says {stored}, its facts say {right}"
        assert not done or enrollment.get("totalLessons") == len(lessons[-1]), "the total is not the course's"
        completed_at = enrollment.get("completedAt")
        if completed_at is None:
            assert not lessons[-1] or done != set(lessons[-1]), f"{enrollment['_id']} is done and has no completedAt"
            return
        once = [max(facts[i] for i in before) for before in lessons if before and set(before) <= set(facts)]
        assert once, f"{enrollment['_id']} has a completedAt and was never done"
        assert completed_at in {*once, *changed_at}, "completedAt is neither a completion's nor a change's time"

    @staticmethod
    def _told(enrollment: Document, last: Mapping[str, Any] | None) -> None:
        if not enrollment.get("revision"):
            assert last is None or last["revision"] == 0
            return
        assert last is not None, f"nobody was told of {enrollment['_id']}"
        assert (last["revision"], last["progressPercent"], last["completed"], last["completedAt"]) == (
            enrollment["revision"],
            enrollment["progressPercent"],
            enrollment["completedLessons"],
            enrollment.get("completedAt"),
        ), f"{enrollment['_id']}: the last that was told is not what is stored"

    def completions(self) -> None:
        """Every completed enrollment was told of as such, with its one moment, and no other was."""
        completed = {d["_id"]: d["completedAt"] for d in self.documents("enrollments") if d.get("completedAt")}
        told = {(said(event)["enrollmentId"], said(event)["completedAt"]) for event in self._read("course.completed")}
        assert told == set(completed.items()), "course.completed: told and stored differ"

    def certificates(self, *, failed: Collection[str], revoked: Collection[str]) -> None:
        """One certificate for each completed enrollment, its file beside it, its events out; no other file."""
        completed = {d["_id"] for d in self.documents("enrollments") if d.get("completedAt")}
        by_enrollment = Counter(d["enrollmentId"] for d in self.documents("certificates"))
        assert set(by_enrollment) == completed, "certificates and completed enrollments differ"
        assert set(by_enrollment.values()) <= {1}, "an enrollment has two certificates"
        for d in self.documents("certificates"):
            key = d["enrollmentId"]
            expected = "revoked" if key in revoked else "failed" if key in failed else "issued"
            assert d["status"] == expected, f"the certificate of {key} is {d['status']} and not {expected}"
        self._files()
        told = {(header(e, "ce_type"), said(e)["certificateId"]) for e in self._read("certificate.issued")}
        issued = {d["_id"] for d in self.documents("certificates") if d.get("issuedAt") is not None}
        withdrawn = {d["_id"] for d in self.documents("certificates") if d["status"] == "revoked"}
        assert told == {("certificate.issued.v1", i) for i in issued} | {
            ("certificate.revoked.v1", i) for i in withdrawn
        }
        last = {said(e)["certificateId"]: header(e, "ce_type") for e in self._read("certificate.issued")}
        assert {i for i, kind in last.items() if kind == "certificate.revoked.v1"} == withdrawn, (
            "the last word on a certificate is not its state"
        )

    def _files(self) -> None:
        kept = {d["fileId"] for d in self.documents("certificates") if d.get("fileId")}
        assert {d["_id"] for d in self.documents("fs.files")} == kept, "files and certificates differ"
        assert {d["files_id"] for d in self.documents("fs.chunks")} == kept, "chunks and certificates differ"
        pages = {d["files_id"]: d["data"].decode() for d in self.documents("fs.chunks")}
        for d in self.documents("certificates"):
            if d.get("fileId"):
                shown = f"{d['_id']}|{d['recipientName']}|{d['courseTitle']}|"
                assert pages[d["fileId"]].startswith(shown), "a page does not show the words of its certificate"

    def notifications(self, mailed: Iterable[str], *, reachable: Collection[str]) -> None:
        """One of each kind for whoever has what it tells of, told at least once; an e-mail for each certificate."""
        issued = {d["enrollmentId"] for d in self.documents("certificates") if d.get("issuedAt") is not None}
        completed = {d["_id"] for d in self.documents("enrollments") if d.get("completedAt")}
        revoked = {d["enrollmentId"] for d in self.documents("certificates") if d["status"] == "revoked"}
        due = {notification_id("course_completed", key) for key in completed}
        due |= {notification_id("certificate_ready", key) for key in issued - revoked}
        may = due | {notification_id("certificate_ready", key) for key in issued}
        stored = {d["_id"] for d in self.documents("notifications")}
        assert due <= stored <= may, "notifications and what they tell of differ"
        told = {said(event)["notificationId"] for event in self._read("notification.created")}
        assert told == stored, "notification.created: told and stored differ"
        assert all("emailDue" not in d for d in self.documents("notifications")), "an e-mail is still due"
        ready = {d["_id"] for d in self.documents("notifications") if d["kind"] == "certificate_ready"}
        to_mail = {d["_id"] for d in self.documents("notifications") if d["_id"] in ready and d["userId"] in reachable}
        assert {name.strip("<>").partition("@")[0] for name in mailed} == to_mail, "e-mails and certificates differ"

    def letters(self) -> None:
        """Each dead letter is its record byte for byte, and there are those that must be and no others."""
        for service, places in self._expected.items():
            buried: set[Position] = set()
            for letter in self._log.read(f"{service}.deadletters"):
                named = {name: (value or b"").decode() for name, value in letter.headers if name.startswith("x-dead-")}
                place = (
                    named["x-dead-letter-topic"],
                    int(named["x-dead-letter-partition"]),
                    int(named["x-dead-letter-offset"]),
                )
                original = self._log.topics[place[0]][place[1]][place[2]]
                assert (letter.key, letter.value) == (original.key, original.value)
                assert letter.headers[: len(original.headers)] == original.headers
                buried.add(place)
            assert buried == set(places), f"{service}: dead letters are {buried}, and should be {set(places)}"

    def replies(self, *, doubtful: Collection[str] = ()) -> None:
        """A command is answered in one way, and what it hears is what is stored."""
        facts = {d["_id"]: d for d in self.documents("lessonProgress")}
        for topic in self._log.topics:
            answers: defaultdict[str, set[bytes]] = defaultdict(set)
            for reply in self._read(topic) if is_reply_topic(topic) else ():
                kind, data = header(reply, "ce_type"), said(reply)
                if kind == "lesson.marked.v1":
                    assert facts[data["progressId"]]["completedAt"] == data["completedAt"], (
                        "a reply contradicts a record"
                    )
                    data.pop("alreadyCompleted")
                if kind in {"lesson.marked.v1", "command.rejected.v1"} and data.get("lessonId") not in doubtful:
                    command = f"{header(reply, 'ce_causationid')}"
                    assert header(reply, "ce_id") == deterministic_id(kind, command)
                    answers[command].add(kind.encode() + orjson.dumps(data))
            twice = [command for command, said_ in answers.items() if len(said_) > 1]
            assert not twice, f"commands that were answered in two ways: {twice}"
