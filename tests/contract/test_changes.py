"""What used to pass in silence: refusals, replies, addresses, closed objects, more limits, references, choices."""

import copy
from typing import Any

import pytest

from docs.contract_files import files
from docs.contract_files.changes import Kind, changes
from docs.contract_files.contracts import Contracts, contracts
from docs.contract_files.plain import NotCompared
from docs.contract_files.refusals import refusals_in
from docs.contract_files.released import broken
from docs.contract_files.story import refusals
from shared.contracts.rejections import CommandRejected

Json = dict[str, Any]

COMMAND = "lesson.complete.v1"


@pytest.fixture(scope="module")
def present() -> Contracts:
    """What the code says now; in these tests it was released."""
    return contracts(files.generated())


@pytest.fixture
def changed(present: Contracts) -> Contracts:
    """The same once more, to be changed."""
    return copy.deepcopy(present)


def kinds(old: Json, new: Json) -> list[Kind]:
    """What became of a field."""
    return [change.kind for change in changes({"properties": {"a": old}}, {"properties": {"a": new}})]


class TestRefusals:
    @staticmethod
    def examples(document: Contracts) -> list[Json]:
        found: list[Json] = document.asyncapi["components"]["messages"][CommandRejected.TYPE]["examples"]
        return found

    def test_every_refusal_is_kept(self, present: Contracts) -> None:
        assert refusals_in(present.asyncapi) == [(refusal.code, refusal.reason) for _, refusal in refusals()]

    @pytest.mark.parametrize(
        ("other", "says"),
        [
            (
                {"code": 404, "reason": "No such lesson"},
                'is gone ({0} had it; "No such lesson" is new: another sentence is another refusal)',
            ),
            ({"code": 410, "reason": "Lesson not found"}, "has the code 410 now"),
            (None, "is gone ({0} had it)"),
        ],
    )
    def test_another_reason_another_code_and_none_at_all(
        self, present: Contracts, changed: Contracts, other: Json | None, says: str
    ) -> None:
        examples = self.examples(changed)
        place = next(at for at, e in enumerate(examples) if e["payload"]["reason"] == "Lesson not found")
        if other is None:
            del examples[place]
        else:
            examples[place]["payload"].update(other)

        [sentence] = broken(present, changed)

        assert sentence == (
            f'command.rejected.v1: the refusal 404 "Lesson not found" {says.format(present.version)}. This breaks '
            "gateways and operators, reading progress.replies: they tell refusals apart by code and reason. "
            "Keep its code and its words until the next major version of the product."
        )

    def test_a_new_refusal_breaks_nobody(self, present: Contracts, changed: Contracts) -> None:
        self.examples(changed).append({"payload": {"code": 409, "reason": "Too late"}})

        assert broken(present, changed) == []


class TestOperationsAndAddresses:
    NAME = "progressReceivesLessonCompleteV1"

    def test_a_reply_that_is_gone(self, present: Contracts, changed: Contracts) -> None:
        replies = changed.asyncapi["operations"][self.NAME]["reply"]["messages"]
        changed.asyncapi["operations"][self.NAME]["reply"]["messages"] = replies[1:]

        assert broken(present, changed) == [
            (
                f"{self.NAME} (receives {COMMAND}): the reply lesson.marked.v1 is gone ({present.version} had it). "
                "This breaks gateways, writing to progress.commands. "
                "Keep it until the next major version of the product."
            )
        ]

    def test_no_reply_at_all(self, present: Contracts, changed: Contracts) -> None:
        del changed.asyncapi["operations"][self.NAME]["reply"]

        marked, rejected = sorted(broken(present, changed), reverse=True)

        assert "the reply lesson.marked.v1 is gone" in marked
        assert "the reply command.rejected.v1 is gone" in rejected

    def test_an_operation_that_is_gone(self, present: Contracts, changed: Contracts) -> None:
        del changed.asyncapi["operations"][self.NAME]

        [sentence] = broken(present, changed)

        assert "the operation is gone" in sentence
        assert "This breaks gateways, writing to progress.commands." in sentence

    def test_a_reply_that_goes_where_another_header_says(self, present: Contracts, changed: Contracts) -> None:
        changed.asyncapi["operations"][self.NAME]["reply"]["address"]["location"] = "$message.header#/answer-to"

        [sentence] = broken(present, changed)

        assert "was said by $message.header#/reply-to and is said by $message.header#/answer-to now" in sentence

    def test_another_address(self, present: Contracts, changed: Contracts) -> None:
        changed.asyncapi["channels"]["progress.commands"]["address"] = "progress.orders"

        [sentence] = broken(present, changed)

        assert sentence == (
            "progress.commands: the topic's address was progress.commands and is progress.orders now. This breaks "
            "gateways and progress. Keep it until the next major version of the product."
        )


class TestOtherFields:
    def test_a_command_that_takes_no_other_field_any_more(self, present: Contracts, changed: Contracts) -> None:
        changed.messages[COMMAND]["additionalProperties"] = False

        [sentence] = broken(present, changed)

        assert sentence.startswith(
            f"{COMMAND}: every other field was taken and is refused now. This breaks gateways, writing to "
            "progress.commands: what they may send today is refused. Keep it as it was, or add lesson.complete.v2"
        )

    @pytest.mark.parametrize(
        ("old", "new", "found"),
        [
            ({"additionalProperties": True}, {}, []),
            ({"additionalProperties": False}, {}, [Kind.WIDENED]),
            ({"additionalProperties": False}, {"additionalProperties": {"type": "string"}}, [Kind.WIDENED]),
            ({"additionalProperties": {"type": "integer"}}, {"additionalProperties": {"type": "string"}}, [Kind.OTHER]),
            (
                {"additionalProperties": False},
                {"additionalProperties": False, "properties": {"b": {"type": "string"}}},
                [Kind.WIDENED],
            ),
            ({}, {"required": ["b"]}, [Kind.NEW_REQUIRED]),
            ({"required": ["b"]}, {}, [Kind.NOW_OPTIONAL]),
        ],
    )
    def test_objects_that_close_and_open(self, old: Json, new: Json, found: list[Kind]) -> None:
        assert kinds({"type": "object", **old}, {"type": "object", **new}) == found


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({}, {"exclusiveMinimum": 0}, [Kind.NARROWED]),
        ({"exclusiveMinimum": 5}, {"exclusiveMinimum": 0}, [Kind.WIDENED]),
        ({"exclusiveMaximum": 5}, {"exclusiveMaximum": 4}, [Kind.NARROWED]),
        ({"exclusiveMaximum": 5}, {}, [Kind.WIDENED]),
        ({}, {"multipleOf": 5}, [Kind.NARROWED]),
        ({"multipleOf": 5}, {"multipleOf": 10}, [Kind.NARROWED]),
        ({"multipleOf": 0.1}, {"multipleOf": 0.01}, [Kind.WIDENED]),
        ({"multipleOf": 5}, {"multipleOf": 3}, [Kind.OTHER]),
        ({"default": 1}, {"default": 2}, [Kind.OTHER]),
        ({"default": 1}, {"default": 1}, []),
    ],
)
def test_more_limits_of_numbers(old: Json, new: Json, found: list[Kind]) -> None:
    assert kinds({"type": "integer", **old}, {"type": "integer", **new}) == found


class TestReferences:
    def test_what_is_behind_a_reference_is_compared(self, present: Contracts, changed: Contracts) -> None:
        released = copy.deepcopy(present)
        for document, limit in ((released, 40), (changed, 20)):
            schema = document.messages[COMMAND]
            schema["$defs"] = {"Device": {"type": "string", "maxLength": limit}}
            schema["properties"]["device"] = {"$ref": "#/$defs/Device", "description": "Which."}

        [sentence] = broken(released, changed)

        assert "the field `device` had the maxLength 40 and has the maxLength 20 now. This breaks" in sentence

    def test_another_name_of_the_same_definition_is_no_change(self) -> None:
        old, new = (
            {"properties": {"a": {"$ref": f"#/$defs/{name}"}}, "$defs": {name: {"type": "string", "title": name}}}
            for name in ("One", "Other")
        )

        assert list(changes(old, new)) == []


class TestChoices:
    @pytest.mark.parametrize(
        ("old", "new", "found"),
        [
            ([("string", {"maxLength": 9})], [("string", {"maxLength": 5})], [Kind.NARROWED]),
            ([("string", {"maxLength": 9})], [("string", {})], [Kind.WIDENED]),
            ([], [("string", {"maxLength": 5})], [Kind.WIDENED]),
            ([("string", {"pattern": "a"})], [("string", {"pattern": "b"}), ("null", {})], [Kind.WIDENED, Kind.OTHER]),
            ([("string", {"pattern": "a"}), ("string", {"pattern": "b"})], [("string", {"pattern": "a"})], "fewer"),
            ([("string", {"pattern": "a"})], [("string", {"pattern": "a"}), ("string", {"pattern": "b"})], "more"),
        ],
    )
    def test_a_limit_in_one_of_several_branches(self, old: Any, new: Any, found: Any) -> None:
        before, after = (
            {"anyOf": [{"type": "integer"}, *({"type": name, **limits} for name, limits in branches)]}
            for branches in (old, new)
        )
        expected = {"fewer": [Kind.NARROWED], "more": [Kind.WIDENED]}.get(str(found), found)

        assert kinds(before, after) == expected

    def test_a_choice_that_grows_still_shows_what_shrank_in_it(self) -> None:
        old = {"type": "string", "maxLength": 9}
        new = {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "integer"}]}

        assert kinds(old, new) == [Kind.WIDENED, Kind.NARROWED]


class TestWhatIsNotCompared:
    @pytest.mark.parametrize(
        ("schema", "named"),
        [
            ({"oneOf": [{"type": "string"}]}, "oneOf"),
            ({"type": "array", "items": {"not": {}}}, "not"),
            ({"anyOf": [{"dependentRequired": {}}]}, "dependentRequired"),
            ({"type": "object", "additionalProperties": {"if": {}}}, "if"),
            ({"$ref": "#/$defs/Tree"}, "refers to itself"),
            ({"$ref": "other.json"}, "another file's"),
            ({"$ref": "#/$defs/Plain", "maxLength": 3}, "maxLength beside a"),
            ({"maxLength": 3, "anyOf": [{"type": "string", "maxLength": 4}]}, "maxLength beside and within"),
            (False, "False"),
        ],
    )
    def test_a_keyword_that_nobody_judges_is_an_error_also_in_a_new_field(self, schema: Any, named: str) -> None:
        definitions = {"Tree": {"properties": {"a": {"$ref": "#/$defs/Tree"}}}, "Plain": {"type": "string"}}
        new = {"title": "Lesson", "properties": {"a": schema}, "$defs": definitions}

        with pytest.raises(NotCompared, match=rf"^Lesson\.a.*: the schema holds `.*{named}.*nobody would notice"):
            list(changes({}, new))
