"""The same headers as the product writes, assembled from parts that are made once."""

from datetime import UTC, datetime
from functools import lru_cache

from aiokafka import ConsumerRecord

Header = tuple[str, bytes]

_SPECVERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", b"application/json")


class Origin:
    """What a record says of itself, for the messages that follow from it."""

    __slots__ = ("causation", "correlation", "correlation_id", "reply_to")

    def __init__(self, record: ConsumerRecord[bytes, bytes]) -> None:
        given = dict(record.headers)
        position = f"{record.topic}:{record.partition}:{record.offset}"
        self.causation = given.get("ce_id") or position.encode()
        self.correlation_id = given.get("correlation-id") or self.causation
        self.correlation = given.get("ce_correlationid") or self.correlation_id
        self.reply_to = given.get("reply-to")


class Envelope:
    """The headers of one type of message."""

    def __init__(self, service: str, event_type: str) -> None:
        self.type = event_type
        self._type = ("ce_type", event_type.encode())
        self._source = ("ce_source", f"/services/{service}".encode())

    def headers(self, event_id: str, time: int, origin: Origin) -> list[Header]:
        """The headers of an event; `time` in epoch milliseconds."""
        return [
            _SPECVERSION,
            ("ce_id", event_id.encode()),
            self._type,
            self._source,
            ("ce_time", b"%s.%03dZ" % (_second(time // 1000), time % 1000)),
            _CONTENT_TYPE,
            ("ce_correlationid", origin.correlation),
            ("ce_causationid", origin.causation),
        ]


@lru_cache(maxsize=65_536)
def _second(seconds: int) -> bytes:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}".encode()
