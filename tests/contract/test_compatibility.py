"""What the last release promised: a change that would break somebody is named, with whom it breaks and what to do."""

import copy
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, create_model

from docs import generate
from docs.contract_files import files
from docs.contract_files.changes import Change, Kind, changes
from docs.contract_files.contracts import Contracts, contracts
from docs.contract_files.places import ASYNCAPI, RELEASED
from docs.contract_files.released import NotNewer, breaks, broken, last_release, release
from shared.contracts import certificates, gateways, progress, recalculator
from shared.contracts.topics import LESSON_COMPLETED
from shared.contracts.values import Id, Message

Files = dict[Path, str]
Json = dict[str, Any]
Mutate = Callable[..., list[str]]

VERSION = version("lesson-progress")
NEXT_MAJOR = f"{int(VERSION.partition('.')[0]) + 1}.0.0"
BESIDE = '(CONTRIBUTING.md, "Add a message type")'


@pytest.fixture(scope="module")
def made() -> Files:
    return files.generated()


@pytest.fixture(scope="module")
def present(made: Files) -> Contracts:
    """What the code says now; in these tests it was released."""
    return contracts(made)


@pytest.fixture
def changed(present: Contracts) -> Contracts:
    """The same once more, to be changed."""
    return copy.deepcopy(present)


def altered(model: type[Message], *without: str, **fields: Any) -> type[Message]:
    """A message with other fields: those of `without` are gone, those of `fields` are new or replaced."""
    kept: Json = {
        name: (info.annotation, copy.copy(info)) for name, info in model.model_fields.items() if name not in without
    }
    other: type[Message] = create_model(model.__name__, __base__=Message, **{**kept, **fields})
    other.TYPE = model.TYPE
    other.__doc__ = model.__doc__
    return other


@pytest.fixture
def mutate(present: Contracts, monkeypatch: pytest.MonkeyPatch) -> Mutate:
    """Change a model in the code; answers what the command would say of it."""

    def mutated(module: Any, model: type[Message], *without: str, **fields: Any) -> list[str]:
        monkeypatch.setattr(module, model.__name__, altered(model, *without, **fields))
        return broken(present, contracts(files.generated()))

    return mutated


class TestANameATypeARequirement:
    """The three changes that must turn CI red, of an event that a service reads and of a command that gateways send."""

    def test_a_renamed_field_of_an_event(self, mutate: Mutate) -> None:
        assert mutate(progress, progress.LessonCompleted, "user_id", learner_id=(Id, ...)) == [
            (
                f"lesson.completed.v1: the field `userId` is gone ({VERSION} had it; `learnerId` is new: another name "
                "is another field). This breaks recalculator, reading lesson.completed: they do not find it. "
                f"Keep `userId` as it was, or add lesson.completed.v2 beside it {BESIDE}."
            ),
            (
                "lesson.completed.v1: the field `learnerId` is new and required. This breaks recalculator, reading "
                "lesson.completed: records of before lack it, and stay for 7 days. "
                f"Make `learnerId` optional, or add lesson.completed.v2 beside it {BESIDE}."
            ),
        ]

    def test_another_type_in_an_event(self, mutate: Mutate) -> None:
        [sentence] = mutate(recalculator, recalculator.EnrollmentProgressed, revision=(str, ...))

        assert sentence == (
            "enrollment.progressed.v1: the field `revision` was a whole number and is text now. This breaks live "
            "screens, reading enrollment.progressed: they expect what it was. "
            f"Keep `revision` as it was, or add enrollment.progressed.v2 beside it {BESIDE}."
        )

    def test_a_field_of_an_event_that_may_be_missing_now(self, mutate: Mutate) -> None:
        [sentence] = mutate(certificates, certificates.CertificateIssued, verification_url=(certificates.Address, ""))

        assert sentence.startswith(
            "certificate.issued.v1: the field `verificationUrl` was always there and may be missing now. "
            "This breaks anyone, reading certificate.issued: they rely on it."
        )

    def test_a_renamed_field_of_a_command(self, mutate: Mutate) -> None:
        gone, new = mutate(gateways, gateways.LessonComplete, "lesson_id", lesson=(Id, ...))

        assert gone.startswith(f"lesson.complete.v1: the field `lessonId` is gone ({VERSION} had it; `lesson` is new")
        assert "This breaks gateways, writing to progress.commands: what they send is not heard." in gone
        assert new == (
            "lesson.complete.v1: the field `lesson` is new and required. This breaks gateways, writing to "
            "progress.commands: they do not send it, and every command of theirs is refused. "
            f"Make `lesson` optional, or add lesson.complete.v2 beside it {BESIDE}."
        )

    def test_another_type_in_a_command(self, mutate: Mutate) -> None:
        [sentence] = mutate(gateways, gateways.LessonComplete, lesson_id=(int, ...))

        assert "the field `lessonId` was text and is a whole number now. This breaks gateways" in sentence

    def test_a_field_that_a_command_has_to_have_now(self, mutate: Mutate) -> None:
        [sentence] = mutate(gateways, gateways.LessonComplete, device=(str, ...))

        assert "the field `device` is new and required. This breaks gateways" in sentence


class TestWhatHarmsNobody:
    def test_optional_fields_may_be_added_to_events_and_to_commands(self, mutate: Mutate) -> None:
        assert mutate(gateways, gateways.LessonComplete, device=(str | None, None)) == []
        assert mutate(progress, progress.LessonCompleted, device=(str | None, None)) == []

    def test_a_new_type_may_be_added_beside_the_old_one(self, present: Contracts, changed: Contracts) -> None:
        schema = copy.deepcopy(changed.messages["lesson.completed.v1"])
        del schema["properties"]["userId"]
        changed.messages["lesson.completed.v2"] = schema
        changed.asyncapi["channels"][LESSON_COMPLETED]["messages"]["lesson.completed.v2"] = {}

        assert broken(present, changed) == []

    def test_a_command_may_hold_more_than_before_and_an_event_less(self, mutate: Mutate) -> None:
        assert mutate(gateways, gateways.LessonComplete, lesson_id=(Annotated[str, Field(max_length=500)], ...)) == []
        notification = certificates.NotificationCreated
        assert mutate(certificates, notification, body=(Annotated[str, Field(max_length=100)], ...)) == []

    def test_what_is_released_now_breaks_nothing_of_what_was_released(self, made: Files) -> None:
        assert last_release() is not None
        assert breaks(made) == []


class TestValues:
    def test_a_word_that_an_event_never_said(self, mutate: Mutate) -> None:
        kind = Literal["course_completed", "certificate_ready", "birthday"]
        [sentence] = mutate(certificates, certificates.NotificationCreated, kind=(kind, ...))

        assert "the field `kind` may be `birthday` now, which it never was. This breaks live screens" in sentence

    def test_a_command_that_may_hold_less(self, mutate: Mutate) -> None:
        shorter = Annotated[Id, Field(json_schema_extra={"maxLength": 20})]
        [sentence] = mutate(gateways, gateways.LessonComplete, lesson_id=(shorter, ...))

        assert (
            "the field `lessonId` had the maxLength 255 and has the maxLength 20 now. This breaks gateways" in sentence
        )
        assert "what they may send today is refused" in sentence

    def test_an_event_that_may_be_null(self, mutate: Mutate) -> None:
        [sentence] = mutate(recalculator, recalculator.CourseCompleted, completed_at=(int | None, ...))[:1]

        assert "the field `completedAt` was never null and may be null now. This breaks certificates" in sentence

    @pytest.mark.parametrize(
        ("old", "new", "kind"),
        [
            ({"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 0}, Kind.WIDENED),
            ({"type": "integer", "minimum": 0}, {"type": "integer", "minimum": 1}, Kind.NARROWED),
            ({"type": "string", "maxLength": 5}, {"type": "string"}, Kind.WIDENED),
            ({"type": "string"}, {"type": "string", "maxLength": 5}, Kind.NARROWED),
            ({"type": "string", "enum": ["a", "b"]}, {"type": "string", "enum": ["a"]}, Kind.NARROWED),
            ({"type": "string", "enum": ["a"]}, {"type": "string"}, Kind.WIDENED),
            ({"type": "string"}, {"type": "string", "enum": ["a"]}, Kind.NARROWED),
            ({"const": "a"}, {"const": "b"}, Kind.WIDENED),
            ({"type": "string", "pattern": "a"}, {"type": "string", "pattern": "b"}, Kind.OTHER),
            ({"type": "string"}, {"type": "string", "format": "uri"}, Kind.NARROWED),
            ({"type": "integer"}, {"type": "number"}, Kind.WIDENED),
            ({"type": "number"}, {"type": "integer"}, Kind.NARROWED),
            ({"type": "integer"}, {"type": "string"}, Kind.OTHER),
            ({}, {"type": "object"}, Kind.NARROWED),
            ({"type": "object"}, {}, Kind.WIDENED),
            ({"type": ["string", "null"]}, {"type": "string"}, Kind.NARROWED),
            ({"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "null"}]}, Kind.WIDENED),
            (
                {"type": "array", "items": {"type": "string"}},
                {"type": "array", "items": {"type": "integer"}},
                Kind.OTHER,
            ),
        ],
    )
    def test_each_change_of_a_value_is_known_for_what_it_is(self, old: Json, new: Json, kind: Kind) -> None:
        found = list(changes({"properties": {"field": old}}, {"properties": {"field": new}}))

        assert found[0].kind is kind
        assert list(changes({"properties": {"field": old}}, {"properties": {"field": old}})) == []

    def test_a_field_within_a_field_is_named_by_its_way(self) -> None:
        old = {"properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}}}
        new = {"properties": {"a": {"type": "object", "properties": {}}}}

        assert list(changes(old, new)) == [Change(Kind.REMOVED, "a.b", "is gone")]


class TestTopics:
    def test_another_key(self, present: Contracts, changed: Contracts) -> None:
        message = changed.asyncapi["components"]["messages"]["lesson.completed.v1"]
        message["bindings"]["kafka"]["key"]["title"] = "userId"

        [sentence] = broken(present, changed)

        assert sentence.startswith(
            "lesson.completed.v1: the record's key was enrollmentId and is userId now. "
            "This breaks recalculator, reading lesson.completed: records come in another order."
        )

    def test_a_topic_that_is_gone_and_a_message_that_moved(self, present: Contracts, changed: Contracts) -> None:
        del changed.asyncapi["channels"]["notification.created"]
        del changed.asyncapi["channels"]["certificate.issued"]["messages"]["certificate.revoked.v1"]

        moved, gone = broken(present, changed)

        assert moved.startswith(
            f"certificate.issued: certificate.revoked.v1 is not there any more ({VERSION} had it). "
        )
        assert gone.startswith(f"notification.created: the topic is gone ({VERSION} had it). This breaks live screens")

    @pytest.mark.parametrize(
        ("setting", "less", "whom"),
        [
            ("retention.ms", 3_600_000, "recalculator, reading it late"),
            ("max.message.bytes", 1, "progress, writing to it"),
        ],
    )
    def test_a_topic_that_holds_less(
        self, present: Contracts, changed: Contracts, setting: str, less: int, whom: str
    ) -> None:
        changed.asyncapi["channels"]["lesson.completed"]["bindings"]["kafka"]["topicConfiguration"][setting] = less

        [sentence] = broken(present, changed)

        assert sentence.startswith(f"lesson.completed: {setting} was ")
        assert f"and is {less} now. This breaks {whom}." in sentence

    def test_a_topic_that_shrinks(self, present: Contracts, changed: Contracts) -> None:
        changed.asyncapi["channels"]["lesson.completed"]["bindings"]["kafka"]["partitions"] = 3

        assert broken(present, changed) == ["lesson.completed: 6 partitions cannot become 3: a topic never shrinks."]

    def test_a_header_that_is_gone_or_asked_for(self, present: Contracts, changed: Contracts) -> None:
        messages = changed.asyncapi["components"]["messages"]
        del messages["lesson.marked.v1"]["headers"]["properties"]["correlation-id"]
        messages["lesson.complete.v1"]["headers"]["required"].append("ce_id")

        asked, gone = broken(present, changed)

        assert "the header `ce_id` was optional and is required now. This breaks gateways" in asked
        assert f"the header `correlation-id` is gone ({VERSION} had it). This breaks gateways and operators" in gone

    def test_a_message_that_is_gone(self, present: Contracts, changed: Contracts) -> None:
        del changed.messages["lesson.completed.v1"]

        [sentence] = broken(present, changed)

        assert sentence == (
            f"lesson.completed.v1: the message is gone ({VERSION} had it). This breaks recalculator, reading it. "
            "Keep it until the next major version of the product."
        )

    def test_what_was_announced_may_go_with_a_major_version(self, present: Contracts, changed: Contracts) -> None:
        del changed.messages["lesson.completed.v1"]
        del changed.asyncapi["channels"]["notification.created"]
        del changed.openapi["progress"]["paths"][TestHttp.PATH]

        assert len(broken(present, changed)) == 3
        assert broken(present, changed._replace(version=NEXT_MAJOR)) == []


class TestHttp:
    PATH = "/v1/courses/{course_id}/progress"

    def test_a_query_that_is_gone(self, present: Contracts, changed: Contracts) -> None:
        del changed.openapi["progress"]["paths"][self.PATH]

        [sentence] = broken(present, changed)

        assert sentence.startswith(
            f"progress, GET {self.PATH}: the query is gone ({VERSION} had it). This breaks its callers."
        )

    def test_an_answer_without_a_field_or_with_another_type(self, present: Contracts, changed: Contracts) -> None:
        fields = changed.openapi["progress"]["components"]["schemas"]["Progress"]["properties"]
        del fields["percent"]
        fields["total"] = {"type": "string"}

        total, percent = broken(present, changed)

        assert f"progress, GET {self.PATH}: the field `total` of the answer 200 was a whole number" in total
        assert "the field `percent` of the answer 200 is gone." in percent

    def test_a_query_that_asks_for_more(self, present: Contracts, changed: Contracts) -> None:
        operation = changed.openapi["certificates"]["paths"]["/v1/certificates/{certificate_id}"]["get"]
        operation["parameters"].append({"in": "query", "name": "why", "required": True, "schema": {"type": "string"}})
        operation["security"] = [{"token": []}]

        parameter, token = broken(present, changed)

        assert "the field `query why` of what is asked is new and required. This breaks its callers." in parameter
        assert "it asks for a token now, and did not before." in token

    def test_an_answer_may_hold_more(self, present: Contracts, changed: Contracts) -> None:
        schema = changed.openapi["progress"]["components"]["schemas"]["Progress"]
        schema["properties"]["started"] = {"type": "boolean"}
        schema["required"].append("started")

        assert broken(present, changed) == []


class TestReleases:
    def test_a_release_is_kept_whole_and_once(self, made: Files, tmp_path: Path) -> None:
        place = release(made, tmp_path)

        assert place == RELEASED / VERSION
        assert last_release(tmp_path) == VERSION
        assert (tmp_path / place / ASYNCAPI).read_text() == made[ASYNCAPI]
        assert breaks(made, tmp_path) == []
        with pytest.raises(NotNewer, match=rf"{re.escape(str(place))} is there already, and .* raise the version"):
            release(made, tmp_path)

    def test_the_last_release_is_the_highest_version(self, tmp_path: Path) -> None:
        for kept in ("0.9.0", "0.10.0", "0.2.1"):
            (tmp_path / RELEASED / kept).mkdir(parents=True)

        assert last_release(tmp_path) == "0.10.0"

    def test_before_the_first_release_anything_may_change(self, made: Files, tmp_path: Path) -> None:
        assert breaks(made, tmp_path) == []

    def test_the_command_says_what_breaks_and_fails(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(gateways, "LessonComplete", altered(gateways.LessonComplete, "lesson_id"))

        code = generate.main(["--check"])

        said = capsys.readouterr().out
        assert code == 1
        assert "schemas/lesson.complete.v1.schema.json is not what the code says" in said
        assert f"lesson.complete.v1: the field `lessonId` is gone ({last_release()} had it). This breaks" in said
