"""Deterministic ids: what any other language would compute from the agreement."""

import json
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.progress.messaging import lesson_completed
from shared.contracts.ids import deterministic_id, notification_id, progress_id
from tests.support.builders import completion

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://lesson-progress/ids/v1")

ids = st.text(min_size=1, max_size=255)


def agreed(*parts: str | int) -> str:
    """UUIDv5 of the compact UTF-8 JSON array, by the standard library alone."""
    return str(uuid.uuid5(NAMESPACE, json.dumps(list(parts), separators=(",", ":"), ensure_ascii=False)))


@given(st.lists(st.text() | st.integers(0, 2**53), min_size=1, max_size=4))
@example(["\u2028", "\u2029", "\x7f", "/", "\\", '"'])
@example(["\b\f\n\r\t\x00\x1f", "🎓", "é", "é"])
def test_an_id_is_the_uuid5_of_the_compact_json_array(parts: list[str | int]) -> None:
    assert deterministic_id(*parts) == agreed(*parts)


@given(user_id=ids, lesson_id=ids, kind=ids, enrollment_id=ids)
def test_the_agreed_arrays(user_id: str, lesson_id: str, kind: str, enrollment_id: str) -> None:
    assert progress_id(user_id, lesson_id) == agreed("progress", user_id, lesson_id)
    assert notification_id(kind, enrollment_id) == agreed("notification", kind, enrollment_id)


@given(first=st.lists(ids, min_size=1, max_size=3), second=st.lists(ids, min_size=1, max_size=3))
@example(["a,b"], ["a", "b"])
@example(['a","b'], ["a", "b"])
@example(["a:b", "c"], ["a", "b:c"])
def test_two_ids_are_the_same_only_where_all_parts_are(first: list[str], second: list[str]) -> None:
    assert (deterministic_id(*first) == deterministic_id(*second)) == (first == second)


def test_text_and_number_are_different_parts() -> None:
    assert deterministic_id("e", 1) != deterministic_id("e", "1")


def test_an_event_s_id_follows_from_its_type_and_its_record() -> None:
    event = lesson_completed(completion("learner", "lesson"))
    assert event.id == agreed("lesson.completed.v1", agreed("progress", "learner", "lesson"))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("progress", "learner-1", "lesson-1"), "ad0bf3a0-4df2-5ddb-9200-0c7cc7460e8a"),
        (("lesson.completed.v1", "x"), "afa2846e-b138-5fcb-b6f6-cb96004e4e13"),
        (("enrollment.progressed.v1", "enrollment-1", 7), "b4d94997-7193-5cc6-93aa-e7dc644c9b91"),
    ],
)
def test_ids_given_out_once_stay_for_ever(parts: tuple[str | int, ...], expected: str) -> None:
    assert deterministic_id(*parts) == expected
