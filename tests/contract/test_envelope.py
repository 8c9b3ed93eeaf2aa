"""The envelope: CloudEvents 1.0 in binary mode, header by header."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import envelope as ce
from shared.contracts.envelope import Cause, Malformed

LAST_MOMENT = 253_402_300_799_999
Headers = list[tuple[str, bytes | None]]

moments = st.integers(0, LAST_MOMENT)


def written(cause: Cause) -> list[tuple[str, bytes]]:
    return ce.write(event_type="lesson.completed.v1", event_id="id-1", source="/services/progress", time=0, cause=cause)


def test_the_headers_of_an_event_in_their_order() -> None:
    assert written(Cause("click-7", "command-1", "00-trace")) == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"id-1"),
        ("ce_type", b"lesson.completed.v1"),
        ("ce_source", b"/services/progress"),
        ("ce_time", b"1970-01-01T00:00:00.000Z"),
        ("content-type", b"application/json"),
        ("ce_correlationid", b"click-7"),
        ("ce_causationid", b"command-1"),
        ("ce_traceparent", b"00-trace"),
    ]


def test_what_is_not_known_is_left_out() -> None:
    assert len(written(Cause())) == 6


@given(st.text(), st.text(), st.text())
def test_what_is_written_is_utf8_and_can_be_read_again(correlation: str, causation: str, trace: str) -> None:
    headers = written(Cause(correlation, causation, trace))
    assert all(value.decode() is not None for _, value in headers)
    read = ce.read(headers)
    assert (read.type, read.id) == ("lesson.completed.v1", "id-1")


@given(moments)
def test_ce_time_is_rfc3339_to_the_millisecond(at: int) -> None:
    text = ce.rfc3339(at)
    parsed = datetime.fromisoformat(text)
    assert (parsed - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1) == at
    assert len(text) == len("2027-01-15T08:00:00.000Z")
    assert text.endswith("Z")


@given(moments, moments)
def test_times_sort_as_text(first: int, second: int) -> None:
    assert (ce.rfc3339(first) < ce.rfc3339(second)) == (first < second)


NAMES = st.sampled_from(
    ["ce_type", "ce_id", "content-type", "reply-to", "correlation-id", "ce_correlationid", "ce_traceparent", "CE_TYPE"]
)
VALUES = st.none() | st.binary(max_size=300) | st.sampled_from([b"lesson.complete.v1", b"application/json", b"\xff"])


@given(st.lists(st.tuples(NAMES | st.text(max_size=9), VALUES), max_size=8))
def test_reading_any_headers_gives_an_envelope_or_says_malformed(headers: Headers) -> None:
    types = [value for name, value in headers if name == "ce_type"]
    try:
        read = ce.read(headers)
    except Malformed:
        return
    assert types == [read.type.encode()]
    for name, found in (("reply-to", read.reply_to), ("ce_id", read.id)):
        values = [value for key, value in headers if key == name]
        assert found is None or values == [found.encode()]
    if read.correlation_id is not None:
        assert len(read.correlation_id) <= 256
        assert [value for key, value in headers if key == "correlation-id"] == [read.correlation_id]
