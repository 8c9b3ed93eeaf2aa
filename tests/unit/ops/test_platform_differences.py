"""Which stored documents an import changes, and in which fields."""

from ops.platform.differences import Change, difference
from ops.platform.documents import Enrollment, Lesson, User

LESSON = Lesson(id="lesson-1", module_id="module-1", title="Mars", order=1)


def test_a_document_stored_as_it_is_given_needs_no_change() -> None:
    assert difference(LESSON, LESSON.stored()) is None


def test_an_absent_preview_mark_counts_as_no_preview() -> None:
    stored = {"_id": "lesson-1", "moduleId": "module-1", "title": "Mars", "order": 1}

    assert difference(LESSON, stored) is None


def test_only_the_fields_that_differ_are_set() -> None:
    assert difference(LESSON, LESSON.stored() | {"title": "Venus"}) == Change(
        "lesson-1", {"title": "Mars"}, frozenset()
    )


def test_an_optional_field_that_is_no_longer_given_is_taken_away() -> None:
    given = User(id="user-1", name="Ελένη", email="eleni@example.org")

    assert difference(given, given.stored() | {"locale": "el"}) == Change("user-1", {}, frozenset({"locale"}))
    assert difference(given, given.stored() | {"locale": None}) is None


def test_the_fields_of_others_are_neither_compared_nor_changed() -> None:
    given = Enrollment(id="e", user_id="u", course_id="c", enrolled_at=2)
    stored = given.stored() | {"enrolledAt": 1, "progressPercent": 50.0, "completedLessons": 5, "revision": 3}

    assert difference(given, stored) == Change("e", {"enrolledAt": 2}, frozenset())
