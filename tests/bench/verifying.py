"""Memory and speed of `lesson-progress verify` over a generated run of any size: the same code, a reader of nothing.

`python -m tests.bench.verifying 100000 1000000` prints one line for each size, each measured in a process of its own.
"""

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from aiokafka import TopicPartition

from ops.verify.findings import Findings
from ops.verify.index import Index
from ops.verify.judges import Judges
from ops.verify.reading import Extent
from ops.verify.run import Verification
from services.certificates.domain import Links
from services.certificates.inspection import Judge as CertificatesJudge
from services.progress.domain import Completion, Enrollment, Lesson
from services.progress.inspection import Judge as ProgressJudge
from services.progress.messaging import lesson_completed
from services.progress.ports import LearnerInCourse
from services.recalculator.domain import Enrollment as Stored
from services.recalculator.domain import Fact, Progress
from services.recalculator.inspection import Judge as RecalculatorJudge
from services.recalculator.messaging import enrollment_events
from shared.contracts import envelope as ce
from shared.contracts.topics import ENROLLMENT_PROGRESSED, LESSON_COMPLETED, PROGRESS_COMMANDS
from shared.identity import Identity, NotAuthenticated
from shared.kafka.records import Event, Record
from tests.support.builders import command, completion, enrollment_id, record
from tests.support.fake_verifier import FakeVerifier
from tests.support.fakes_certificates import FakeCertificateStore
from tests.support.fakes_progress import FakeProgressStore
from tests.support.fakes_recalculator import FakeRecalculatorStore
from tests.support.issuer import NOW

#: Each learner has completed all lessons of the course but the last.
LESSONS = [f"lesson-{n}" for n in range(11)]
_DONE = len(LESSONS) - 1
_BATCH = 1000


class _Verifier(FakeVerifier):
    async def authenticate_batch(self, batch: Sequence[tuple[str | bytes, int]]) -> list[Identity | NotAuthenticated]:
        return [self._judge(str(token)) for token, _ in batch]


def _completion(n: int) -> Completion:
    return completion(f"learner-{n // _DONE}", LESSONS[n % _DONE], at=NOW + n)


def _stored(n: int) -> Stored:
    progress = Progress(_DONE, len(LESSONS), _DONE / len(LESSONS) * 100)
    at = NOW + n * _DONE + _DONE - 1
    return Stored(enrollment_id(f"learner-{n}"), f"learner-{n}", "course-1", progress, at, 1)


class _Records(FakeProgressStore):
    """Progress' records, made as they are asked for: those of the batch that is being read are all that is held."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.at_hand: dict[str, Completion] = {}
        self._next = 0

    async def lessons(self, lesson_ids: Collection[str]) -> Mapping[str, Lesson]:
        return {lesson_id: Lesson(lesson_id, "course-1", is_preview=False) for lesson_id in lesson_ids}

    async def enrollments(self, learners: Collection[LearnerInCourse]) -> Mapping[LearnerInCourse, Enrollment]:
        return {learner: Enrollment(enrollment_id(learner.user_id), NOW - 1) for learner in learners}

    async def recorded(self, progress_ids: Collection[str]) -> Mapping[str, Completion]:
        return {key: self.at_hand[key] for key in progress_ids}

    async def recorded_after(self, progress_id: str | None, limit: int) -> Sequence[Completion]:
        begin, self._next = self._next, min(self.size, self._next + limit)
        return [_completion(n) for n in range(begin, self._next)]

    async def record_count(self) -> int:
        return self.size


class _Enrollments(FakeRecalculatorStore):
    """Enrollments, made as they are asked for."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.catalog = {i: _lesson(i) for i in LESSONS}

    async def enrollments(self, enrollment_ids: Collection[str]) -> Mapping[str, Stored]:
        return {key: _stored(int(key.partition("@")[0].removeprefix("learner-"))) for key in enrollment_ids}

    async def enrollments_after(
        self, enrollment_id: str | None, limit: int, *, course_id: str | None = None
    ) -> Sequence[Stored]:
        begin = 0 if enrollment_id is None else int(enrollment_id.partition("@")[0].removeprefix("learner-")) + 1
        return [_stored(n) for n in range(begin, min(self.size, begin + limit))]

    async def enrollment_count(self) -> int:
        return self.size

    async def facts(self, user_ids: Collection[str], lesson_ids: Collection[str]) -> Mapping[str, Sequence[Fact]]:
        return {user: [Fact(lesson, NOW) for lesson in LESSONS[:_DONE]] for user in user_ids}


def _lesson(lesson_id: str) -> Any:
    from services.recalculator.domain import Lesson as Counted  # noqa: PLC0415 - two rooms have a Lesson

    return Counted(lesson_id, "course-1", is_preview=False)


class _Generated:
    """Topics whose records are made as they are read."""

    def __init__(self, size: int, records: _Records) -> None:
        self._records = records
        self._sizes = {PROGRESS_COMMANDS: size, LESSON_COMPLETED: size, ENROLLMENT_PROGRESSED: size // _DONE}

    async def committed(self) -> Mapping[tuple[str, TopicPartition], int]:
        readers = {PROGRESS_COMMANDS: "progress", LESSON_COMPLETED: "recalculator"}
        return {(reader, TopicPartition(topic, 0)): self._sizes[topic] for topic, reader in readers.items()}

    async def extents(self, topics: Collection[str]) -> Mapping[TopicPartition, Extent]:
        return {TopicPartition(t, 0): Extent(0, self._sizes[t]) for t in topics if t in self._sizes}

    async def existing(self) -> Collection[str]:
        return set(self._sizes)

    async def read(self, partition: TopicPartition, extent: Extent) -> AsyncIterator[Sequence[Record]]:
        for begin in range(0, extent.end, _BATCH):
            numbers = range(begin, min(extent.end, begin + _BATCH))
            if partition.topic == ENROLLMENT_PROGRESSED:
                yield [_as_record(enrollment_events(_stored(n))[0], n, "recalculator") for n in numbers]
                continue
            made = [_completion(n) for n in numbers]
            self._records.at_hand = {one.progress_id: one for one in made}
            if partition.topic == PROGRESS_COMMANDS:
                yield [
                    command(one.lesson_id, one.user_id, offset=n, timestamp=one.completed_at)
                    for n, one in zip(numbers, made, strict=True)
                ]
            else:
                yield [_as_record(lesson_completed(one), n, "progress") for n, one in zip(numbers, made, strict=True)]


def _as_record(event: Event, offset: int, service: str) -> Record:
    source = f"/services/{service}"
    kind = event.message.TYPE
    headers = ce.write(event_type=kind, event_id=event.id, source=source, time=event.time, cause=ce.Cause())
    value, key = event.message.to_json(), event.key.encode()
    return record(event.topic, value=value, key=key, headers=headers, offset=offset, timestamp=event.time)


async def _verify(commands: int) -> dict[str, Any]:
    records = _Records(commands)
    verifier, findings = _Verifier(), Findings()
    judges = Judges(
        ProgressJudge(records, verifier),
        RecalculatorJudge(_Enrollments(commands // _DONE), verifier),
        CertificatesJudge(FakeCertificateStore(), verifier, Links("https://learn.example.org")),
    )
    before, started = _peak(), perf_counter()
    with TemporaryDirectory() as folder:
        index = Index(Path(folder))
        try:
            log = _Generated(commands, records)
            await Verification(judges, log, index, findings, lambda: NOW + 10 * commands).run()
            on_disk = (Path(folder) / "index.sqlite").stat().st_size
        finally:
            index.close()
    if not findings.healthy:
        raise AssertionError(findings.listed)
    seconds = perf_counter() - started
    read = sum(sum(fates.values()) for fates in findings.fates.values()) + findings.counts[_PROGRESSED]
    return {
        "recordsRead": read,
        "factsRead": findings.counts["records"] + findings.counts["enrollments"],
        "peakMiBBefore": round(before),
        "peakMiB": round(_peak()),
        "indexMiB": round(on_disk / 2**20),
        "seconds": round(seconds, 1),
        "recordsPerSecond": round(read / seconds),
    }


_PROGRESSED = "events enrollment.progressed.v1"


def _peak() -> float:
    """The most memory this process has had, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _measure(commands: int) -> None:
    print(json.dumps({"commands": commands, **asyncio.run(_verify(commands))}), flush=True)  # noqa: T201 - the result


def main(sizes: Sequence[str]) -> None:
    """Measure each size in a process of its own: a peak never falls."""
    for size in sizes:
        process = get_context("spawn").Process(target=_measure, args=(int(size),))
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(process.exitcode)


if __name__ == "__main__":
    main(sys.argv[1:])
