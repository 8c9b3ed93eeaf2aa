"""The ledger, read in order: what commands, facts and events say of each other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from ops.verify.findings import Findings
from ops.verify.index import COMMAND, EVENT, FACT, LETTERED, SETTLED, STAMPED, Entry
from shared.contracts.gateways import LessonComplete
from shared.contracts.progress import LessonCompleted
from shared.contracts.topics import SERVICES, TOPICS, Topic, dead_letters_of
from shared.verification import Defect, Unjudged

_NEVER = 2**63 - 1
_DEAD_LETTERS = frozenset(dead_letters_of(service) for service in SERVICES)
#: Notes that something is to be looked at again: kind, subject, enrollment.
Suspect = Callable[[Defect, str, str], None]


class Horizons:
    """How far back topics reach: what is no younger than this (epoch ms) may have been in them once."""

    def __init__(self) -> None:
        self._of: dict[str, int] = {}

    def begins(self, topic: str, at: int) -> None:
        """A partition of this topic has lost what was written before this moment."""
        self._of[topic] = max(at, self._of.get(topic, 0))

    def nothing_of(self, topic: str) -> None:
        """A partition of this topic cannot be read: anything may stand there."""
        self._of[topic] = _NEVER

    def holds(self, topic: str, at: int) -> bool:
        """Whether everything that was written into this topic at this moment or later was read."""
        return at > self._of.get(topic, 0)

    def reach(self, message_type: str, at: int) -> bool:
        """Whether every message of this type that was written at this moment or later was read."""
        return all(self.holds(topic.name, at) for topic in _carriers(message_type))


@cache
def _carriers(message_type: str) -> tuple[Topic, ...]:
    """The topics that carry this type; dead letters only repeat what stands, or stood, elsewhere."""
    return tuple(t for t in TOPICS.values() if message_type in t.types and t.name not in _DEAD_LETTERS)


@dataclass(slots=True)
class _Account:
    """Everything under one id, as it passes by; never a list, for a command may be there a million times."""

    fact: Entry | None = None
    event: Entry | None = None
    commands: int = 0
    settled: bool = False
    stamped: bool = True
    #: A command of the fact's own time: one without a dead letter, and the place of one that has one.
    made_by: bool = False
    made_by_dead: str | None = None


def balance(entries: Iterator[Entry], horizons: Horizons, findings: Findings, suspect: Suspect) -> None:
    """Read the sorted ledger to its end; what is wrong goes to the findings, or is to be looked at again."""
    identity: bytes | None = None
    account = _Account()
    for entry in entries:
        if entry.id != identity:
            _close(account, horizons, findings, suspect)
            identity, account = entry.id, _Account()
        _enter(entry, account, findings)
    _close(account, horizons, findings, suspect)


def _enter(entry: Entry, account: _Account, findings: Findings) -> None:
    if entry.side == FACT:
        account.fact = entry
    elif entry.side == EVENT:
        if account.event is None:
            account.event = entry
            _compare(entry, account.fact, findings)
            return
        findings.counts["event_copies"] += 1
        if account.event.digest != entry.digest:
            findings.defect(Defect.EVENT_ID_REUSED, entry.place or "", f"differs from {account.event.place}")
    elif entry.side == COMMAND:
        _add(entry, account)


def _compare(event: Entry, fact: Entry | None, findings: Findings) -> None:
    if fact is not None and fact.digest != event.digest:
        findings.defect(Defect.EVENT_CONTRADICTS_FACT, event.place or "", fact.subject or "")


def _add(command: Entry, account: _Account) -> None:
    account.commands += 1
    # One that ended as a dead letter owes no event.
    account.settled = account.settled or command.flags & (SETTLED | LETTERED) == SETTLED
    account.stamped = account.stamped and bool(command.flags & STAMPED)
    if account.fact is None or command.at != account.fact.at:
        return
    if command.flags & LETTERED:
        account.made_by_dead = command.place
    else:
        account.made_by = True


def _close(account: _Account, horizons: Horizons, findings: Findings, suspect: Suspect) -> None:
    fact = account.fact
    if fact is None:
        return
    kind, _, subject = (fact.subject or "").partition(" ")
    if kind == LessonCompleted.TYPE:
        _close_record(fact, subject, account, horizons, findings)
    elif account.event is None:
        if horizons.reach(kind, fact.at or 0):
            suspect(Defect.LOST_EVENT, fact.subject or "", fact.enrollment or "")
        else:
            findings.cannot_judge(Unjudged.OLDER_THAN_TOPIC)


def _close_record(fact: Entry, subject: str, account: _Account, horizons: Horizons, findings: Findings) -> None:
    at = fact.at or 0
    whole = horizons.reach(LessonComplete.TYPE, at)
    if account.event is None:
        if account.settled and horizons.reach(LessonCompleted.TYPE, at):
            findings.defect(Defect.LOST_EVENT, fact.subject or "")
        elif account.settled or not whole:
            findings.cannot_judge(Unjudged.OLDER_THAN_TOPIC)
        elif account.commands:
            findings.unfinished_yet("events", fact.subject or "")
    if account.made_by_dead is not None and account.stamped and not account.made_by:
        findings.defect(Defect.DOUBLED_FATE, account.made_by_dead, f"recorded as {subject}, and a dead letter")
    if not whole:
        return
    if not account.commands:
        findings.defect(Defect.RECORD_WITHOUT_COMMAND, subject)
    elif account.stamped and not (account.made_by or account.made_by_dead):
        findings.defect(Defect.WRONG_COMPLETED_AT, subject, "no command of the record has its moment")
