"""Records that services read: below what is committed, each has ended in exactly one way."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ops.verify import letters
from ops.verify.findings import CANNOT_BE_JUDGED, SWALLOWED, UNFINISHED, Findings
from ops.verify.index import COMMAND, LETTERED, SETTLED, STAMPED, Entry, Index, StoredLetter, Suspect, key_of
from ops.verify.judges import Judges
from ops.verify.ledger import Horizons
from ops.verify.letters import position_of
from shared.contracts.gateways import LessonComplete
from shared.contracts.ids import deterministic_id
from shared.contracts.progress import LessonCompleted, LessonMarked
from shared.contracts.rejections import CommandRejected
from shared.contracts.topics import dead_letters_of
from shared.kafka.judging import Judgement
from shared.kafka.records import LOG_APPEND_TIME, Record
from shared.verification import Defect, Fate, Unjudged, Verdict

#: Which rejections follow from the catalog, which may have been another one when the command was handled.
_OF_THE_CATALOG = frozenset({"lesson_not_found", "module_not_found", "preview"})


@dataclass(frozen=True, slots=True)
class Changes:
    """When courses were changed last: whoever was judged by the catalog of before is not judged by that of now."""

    judges: Judges
    latest: int

    async def learn(self, course_ids: Iterable[str]) -> Mapping[str, int]:
        """When each of these courses was changed last, epoch ms."""
        wanted = set(course_ids)
        return await self.judges.recalculator.changes(wanted) if wanted and self.latest else {}


class Reading:
    """Judges the records of one partition that one service reads, batch by batch."""

    def __init__(
        self,
        service: str,
        committed: int,
        judges: Judges,
        changes: Changes,
        index: Index,
        findings: Findings,
        horizons: Horizons,
    ) -> None:
        self._service = service
        self._dead_letters = dead_letters_of(service)
        self._committed = committed
        self._judges = judges
        self._changes = changes
        self._index = index
        self._findings = findings
        self._horizons = horizons

    async def take(self, records: Sequence[Record]) -> None:
        """Judge one batch."""
        found = letters.found(records, self._index)
        judgements = await self._judges.records_of(self._service).judge(records)
        courses = {j.verdict.course_id for j in judgements if j.verdict.course_id and _may_change(j.verdict)}
        changed = await self._changes.learn(courses)
        entries = []
        for record, judgement in zip(records, judgements, strict=True):
            letter = found.get(record.offset)
            if letter is not None and letters.altered(record, letter):
                self._findings.defect(Defect.DEAD_LETTER_ALTERED, position_of(record))
            if record.offset >= self._committed:
                self._wait(record, judgement)
            else:
                self._end(record, _since(judgement, changed, self._changes.latest), letter)
            entries += self._lines(record, judgement, lettered=letter is not None)
        self._index.add(entries)

    def _wait(self, record: Record, judgement: Judgement) -> None:
        verdict = judgement.verdict
        self._index.add_pending(
            # A course is waited for only by who asks for the whole course.
            [key for key in (verdict.enrollment_id or verdict.course_id,) if key is not None]
        )
        self._findings.fate(record.topic, UNFINISHED)
        self._findings.unfinished_yet(f"records of {self._service}", position_of(record))

    def _end(self, record: Record, judgement: Judgement, letter: StoredLetter | None) -> None:
        verdict = judgement.verdict
        if letter is not None:
            self._findings.fate(record.topic, Fate.DEAD_LETTER.value)
            return
        match verdict.fate:
            case Fate.RECORDED | Fate.REJECTED:
                self._findings.fate(record.topic, verdict.fate.value)
            case Fate.DEAD_LETTER | Fate.MISSING if not self._horizons.holds(self._dead_letters, judgement.at):
                self._findings.fate(record.topic, CANNOT_BE_JUDGED)
                self._findings.cannot_judge(Unjudged.OLDER_THAN_TOPIC)
            case Fate.DEAD_LETTER:
                self._findings.fate(record.topic, SWALLOWED)
                self._findings.defect(Defect.MISSING_DEAD_LETTER, position_of(record), verdict.why)
                self._findings.not_ended(position_of(record))
            case Fate.MISSING | Fate.UNDECIDABLE:
                without = verdict.why if verdict.fate is Fate.UNDECIDABLE else Defect.SWALLOWED_COMMAND.value
                self._suspect(record, judgement, without)

    def _suspect(self, record: Record, judgement: Judgement, without: str) -> None:
        """Judge this one once the answers are read: only where they say nothing it is `without` one."""
        marked = key_of(deterministic_id(LessonMarked.TYPE, judgement.reference))
        rejected = key_of(deterministic_id(CommandRejected.TYPE, judgement.reference))
        subject = judgement.verdict.progress_id or judgement.verdict.enrollment_id or judgement.verdict.course_id or ""
        # Whoever heals it asks from when on it is to be handled again.
        note = f"{subject or 'its fact is not there'}, written {_utc(judgement.at)}"
        suspect = Suspect(position_of(record), record.topic, marked, rejected, without, note)
        self._index.add_suspect(suspect)

    def _lines(self, record: Record, judgement: Judgement, *, lettered: bool) -> list[Entry]:
        progress_id = judgement.verdict.progress_id
        if judgement.type != LessonComplete.TYPE or progress_id is None:
            return []
        flags = (SETTLED if record.offset < self._committed else 0) | (LETTERED if lettered else 0)
        flags |= STAMPED if record.timestamp_type == LOG_APPEND_TIME else 0
        identity = key_of(deterministic_id(LessonCompleted.TYPE, progress_id))
        return [Entry(identity, COMMAND, None, judgement.at, flags, position_of(record))]


def _utc(at: int) -> str:
    try:
        return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):  # a sender's clock may say anything
        return str(at)


def _may_change(verdict: Verdict) -> bool:
    return verdict.fate is Fate.MISSING or verdict.why in _OF_THE_CATALOG


def _since(judgement: Judgement, changed: Mapping[str, int], latest: int) -> Judgement:
    """The judgement, unless the catalog it rests on may have been another one then."""
    verdict = judgement.verdict
    if judgement.certain or not _may_change(verdict) or judgement.type != LessonComplete.TYPE:
        return judgement
    moved = changed.get(verdict.course_id, 0) if verdict.course_id is not None else latest
    if moved < judgement.at:
        return judgement
    return judgement._replace(verdict=verdict._replace(fate=Fate.UNDECIDABLE, why=Unjudged.COURSE_CHANGED_SINCE.value))


def finish_suspects(index: Index, findings: Findings) -> None:
    """What became of commands without a fact, now that their answers are known."""
    for place, topic, without, note, evidence in index.suspects():
        answered_as_recorded, rejected = evidence & 2, evidence & 1
        if answered_as_recorded or (without == Defect.SWALLOWED_COMMAND and not rejected):
            findings.fate(topic, SWALLOWED)
            told = f"{note}, answered as recorded" if answered_as_recorded else note
            findings.defect(Defect.SWALLOWED_COMMAND, place, told)
            findings.not_ended(place)
        elif rejected:
            findings.fate(topic, Fate.REJECTED.value)
        else:
            findings.fate(topic, CANNOT_BE_JUDGED)
            findings.cannot_judge(Unjudged(without))
