"""CloudEvents 1.0 in the Kafka protocol binding, binary mode: headers in, headers out.

Reading never raises: what the outside sends may be absent, repeated, null or no UTF-8 at all, and the
contract says for each header what follows from that.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

Headers = Sequence[tuple[str, bytes | None]]

CONTENT_TYPE = "application/json"
_JSON = CONTENT_TYPE.encode()
_CORRELATION_BYTES = 256
_TRACEPARENT_BYTES = 64
_ID_BYTES = 1024


class Malformed(Exception):
    """The envelope cannot be read: the record is a dead letter that can be replayed later."""


class Envelope(NamedTuple):
    """What a record's headers say. Absent, repeated or unreadable optional headers are None."""

    type: str
    id: str | None
    reply_to: str | None
    #: Byte for byte as the sender wrote it, for the reply.
    correlation_id: bytes | None
    #: `ce_correlationid` of an event that is being handled.
    correlation: str | None
    traceparent: str | None


class Cause(NamedTuple):
    """What a message follows from: copied into what is published, never part of an event's sameness."""

    correlation: str | None = None
    causation: str | None = None
    traceparent: str | None = None


def read(headers: Iterable[tuple[str, bytes | None]]) -> Envelope:
    """Read the headers of a record.

    Raises:
        Malformed: no single readable `ce_type`, or a content type other than JSON in binary mode.
    """
    single: dict[str, bytes | None] = {}
    for name, value in headers:
        if name in single:
            if name == "ce_type":
                raise Malformed("ce_type stands twice")
            single[name] = None
        else:
            single[name] = value
    _check_content_type(single)
    event_type = _text(single.get("ce_type"), _ID_BYTES)
    if event_type is None:
        raise Malformed("no readable ce_type")
    correlation = single.get("correlation-id")
    return Envelope(
        type=event_type,
        id=_text(single.get("ce_id"), _ID_BYTES),
        reply_to=_text(single.get("reply-to"), _ID_BYTES),
        correlation_id=correlation if _text(correlation, _CORRELATION_BYTES) is not None else None,
        correlation=_text(single.get("ce_correlationid"), _ID_BYTES),
        traceparent=_text(single.get("ce_traceparent"), _TRACEPARENT_BYTES),
    )


def _check_content_type(single: dict[str, bytes | None]) -> None:
    if single.get("content-type", _JSON) == _JSON:
        return
    declared = _text(single["content-type"], _ID_BYTES)
    if declared is None or declared.partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise Malformed("the content type is not application/json in binary mode")


def _text(value: bytes | None, limit: int) -> str | None:
    if not value or len(value) > limit:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def write(*, event_type: str, event_id: str, source: str, time: int, cause: Cause) -> list[tuple[str, bytes]]:
    """The headers of an event or a reply; `time` is the fact's own time in epoch milliseconds."""
    specversion, of_type, of_source, content_type = _constant(event_type, source)
    headers = [
        specversion,
        ("ce_id", event_id.encode()),
        of_type,
        of_source,
        ("ce_time", rfc3339(time).encode()),
        content_type,
    ]
    if cause.correlation is not None:
        headers.append(("ce_correlationid", cause.correlation.encode()))
    if cause.causation is not None:
        headers.append(("ce_causationid", cause.causation.encode()))
    if cause.traceparent is not None:
        headers.append(("ce_traceparent", cause.traceparent.encode()))
    return headers


@lru_cache(maxsize=256)
def _constant(event_type: str, source: str) -> tuple[tuple[str, bytes], ...]:
    """The headers that are the same for every message of a type."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", event_type.encode()),
        ("ce_source", source.encode()),
        ("content-type", _JSON),
    )


def rfc3339(epoch_millis: int) -> str:
    """Epoch milliseconds as an RFC 3339 timestamp in UTC, always with three decimals."""
    return f"{_second(epoch_millis // 1000)}.{epoch_millis % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _second(epoch_seconds: int) -> str:
    """A whole second; kept, because the records of a batch share a few of them and formatting is dear."""
    return f"{datetime.fromtimestamp(epoch_seconds, UTC):%Y-%m-%dT%H:%M:%S}"
