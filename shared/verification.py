"""The words of `lesson-progress verify`: what can be wrong, what cannot be judged, what becomes of a record."""

from enum import StrEnum
from typing import NamedTuple


class Defect(StrEnum):
    """What must not be, whatever happened. The names are stable: scripts and alarms read them."""

    SWALLOWED_COMMAND = "swallowed_command"
    DOUBLED_FATE = "doubled_fate"
    MISSING_DEAD_LETTER = "missing_dead_letter"
    DEAD_LETTER_ALTERED = "dead_letter_altered"
    DEAD_LETTER_WITHOUT_RECORD = "dead_letter_without_record"
    RECORD_WITHOUT_COMMAND = "record_without_command"
    COMMITTED_BEYOND_FINISHED = "committed_beyond_finished"
    LOST_EVENT = "lost_event"
    EVENT_WITHOUT_FACT = "event_without_fact"
    EVENT_ID_REUSED = "event_id_reused"
    EVENT_CONTRADICTS_FACT = "event_contradicts_fact"
    WRONG_PERCENTAGE = "wrong_percentage"
    WRONG_COMPLETED_AT = "wrong_completed_at"
    MISSING_CERTIFICATE = "missing_certificate"
    DOUBLED_CERTIFICATE = "doubled_certificate"
    UNFINISHED_CERTIFICATE = "unfinished_certificate"
    CERTIFICATE_WITHOUT_COMPLETION = "certificate_without_completion"
    MISSING_FILE = "missing_file"
    MISSING_NOTIFICATION = "missing_notification"
    DOUBLED_NOTIFICATION = "doubled_notification"
    NOTIFICATION_WITHOUT_COMPLETION = "notification_without_completion"
    #: It was passed over, so what follows from it may be missed besides.
    UNREADABLE_DOCUMENT = "unreadable_document"
    #: Only where everything ought to be finished (`--settled`).
    UNSETTLED = "unsettled"


class Unjudged(StrEnum):
    """Why something is neither right nor wrong as far as can be seen."""

    OLDER_THAN_TOPIC = "older_than_topic"
    COURSE_CHANGED_SINCE = "course_changed_since"
    ENROLLED_SINCE = "enrolled_since"
    ENROLLMENT_GONE = "enrollment_gone"
    CERTIFICATE_MADE_SINCE = "certificate_made_since"
    KEY_FORGOTTEN = "key_forgotten"
    ISSUED_WITHOUT_FILE = "issued_without_file"
    UNREADABLE_PARTITION = "unreadable_partition"


class Fate(StrEnum):
    """What must have become of a record, as its service judges it now."""

    #: The fact that it asks for is there.
    RECORDED = "recorded"
    REJECTED = "rejected"
    #: Nothing but a dead letter can be its end.
    DEAD_LETTER = "dead_letter"
    #: Nothing speaks against it, and the fact that it asks for is not there.
    MISSING = "missing"
    UNDECIDABLE = "undecidable"


class Verdict(NamedTuple):
    """A readable record, judged by what is stored now."""

    fate: Fate
    #: The outcome's word; of an undecidable one the reason (`Unjudged`).
    why: str = ""
    #: The progress record that it leads to.
    progress_id: str | None = None
    enrollment_id: str | None = None
    course_id: str | None = None


class Flaw(NamedTuple):
    """Something that is wrong about an enrollment, or cannot be judged. Ids only."""

    kind: Defect | Unjudged
    subject: str
    enrollment_id: str
