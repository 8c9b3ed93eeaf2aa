"""What is kept of a failure names no token."""

from aiokafka import ConsumerRecord

from tests.faults.rows.evidence import _shown


def test_a_token_is_masked_and_what_is_no_text_is_shown() -> None:
    record = ConsumerRecord(
        topic="progress.commands", partition=3, offset=7, timestamp=1, timestamp_type=1, key=b"\xff", value=None,
        checksum=None, serialized_key_size=1, serialized_value_size=0,
        headers=(("authorization", b"Bearer secret"), ("Authorization", b"Bearer secret"), ("reply-to", None)),
    )  # fmt: skip

    shown = _shown(record)

    assert "secret" not in str(shown)
    assert shown["headers"] == [["authorization", "(masked)"], ["Authorization", "(masked)"], ["reply-to", None]]
    assert (shown["key"], shown["value"], shown["offset"]) == ("\\xff", None, 7)
