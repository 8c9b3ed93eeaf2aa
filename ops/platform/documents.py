"""The documents that the learning platform owns, and the consistent whole that they form."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from ops.platform.problems import ImportProblem, Problems, worded
from ops.platform.references import Source, dangling, repeated
from shared.contracts.values import EpochMillis, Id

_VISIBLE: Final = r"^[^\p{Cc}]*[^\p{Cc}\s][^\p{Cc}]*$"
_ADDRESS: Final = r"^[^\p{Cc}\s@]+@[^\p{Cc}\s@]+$"
_LANGUAGE: Final = r"^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$"

DocumentId = Annotated[Id, worded("Must be text of 1 to 255 characters without control characters")]
Text = Annotated[
    str,
    StringConstraints(pattern=_VISIBLE, max_length=1000),
    worded("Must be text of 1 to 1000 characters, not only spaces, without control characters"),
]
Email = Annotated[str, StringConstraints(pattern=_ADDRESS, max_length=254), worded("Must be an e-mail address")]
Locale = Annotated[str, StringConstraints(pattern=_LANGUAGE), worded("Must be a language tag such as 'el' or 'en-GB'")]
#: A place among siblings: any number that the database keeps exactly.
Order = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]


class Document(BaseModel):
    """A stored document as the platform knows it: strict types, camelCase, unknown fields left out."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )

    COLLECTION: ClassVar[str]

    id: DocumentId = Field(alias="_id")

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read one JSON object with the stored names of its fields.

        Raises:
            pydantic.ValidationError: the line is no such object.
        """
        return cls.model_validate_json(line, by_alias=True, by_name=False)

    def stored(self) -> dict[str, Any]:
        """The document as the database keeps it; an optional field without a value is absent."""
        return self.model_dump(by_alias=True, exclude_none=True)


class User(Document):
    """A learner; `name` is what a certificate says."""

    COLLECTION = "users"

    name: Text
    email: Email
    locale: Locale | None = None


class Course(Document):
    """A course that learners enroll in."""

    COLLECTION = "courses"

    title: Text
    instructor_name: Text | None = None


class CourseModule(Document):
    """A part of a course; modules stand in the order of `order`, then of their ids."""

    COLLECTION = "courseModules"

    course_id: DocumentId
    title: Text
    order: Order


class Lesson(Document):
    """What a learner completes; a preview is open to everybody and takes no part in progress."""

    COLLECTION = "lessons"

    module_id: DocumentId
    title: Text
    order: Order
    is_preview: bool = False


class Enrollment(Document):
    """A learner in a course, at most once for each pair; `enrolled_at` in epoch milliseconds."""

    COLLECTION = "enrollments"

    user_id: DocumentId
    course_id: DocumentId
    purchase_id: DocumentId | None = None
    enrolled_at: EpochMillis


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything one import brings. It exists only when each reference in it leads somewhere.

    Raises:
        ImportRefused: an id or a (user, course) pair is given twice, or a reference leads nowhere.
    """

    users: tuple[User, ...] = ()
    courses: tuple[Course, ...] = ()
    modules: tuple[CourseModule, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    enrollments: tuple[Enrollment, ...] = ()
    #: Where each collection was read, by its name; without one, a document is named by its place.
    sources: Mapping[str, Source] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        problems = Problems()
        problems.add_all(self._repetitions())
        problems.add_all(self._dangling())
        problems.refuse_if_any()

    def collections(self) -> Mapping[type[Document], tuple[Document, ...]]:
        """The documents by their kind, what is referred to before what refers to it."""
        return {
            User: self.users,
            Course: self.courses,
            CourseModule: self.modules,
            Lesson: self.lessons,
            Enrollment: self.enrollments,
        }

    def source(self, kind: type[Document]) -> Source:
        """Where the documents of this kind were read."""
        in_order = Source(kind.COLLECTION, range(1, len(self.collections()[kind]) + 1))
        return self.sources.get(kind.COLLECTION, in_order)

    def _repetitions(self) -> Iterator[ImportProblem]:
        for kind, documents in self.collections().items():
            yield from repeated((document.id for document in documents), self.source(kind), "_id", "This id")
        pairs = ((enrollment.user_id, enrollment.course_id) for enrollment in self.enrollments)
        yield from repeated(pairs, self.source(Enrollment), "courseId", "This learner's enrollment in this course")

    def _dangling(self) -> Iterator[ImportProblem]:
        references: Iterable[tuple[type[Document], str, Iterable[str], type[Document]]] = (
            (CourseModule, "courseId", (module.course_id for module in self.modules), Course),
            (Lesson, "moduleId", (lesson.module_id for lesson in self.lessons), CourseModule),
            (Enrollment, "userId", (enrollment.user_id for enrollment in self.enrollments), User),
            (Enrollment, "courseId", (enrollment.course_id for enrollment in self.enrollments), Course),
        )
        for kind, name, keys, target in references:
            known = {document.id for document in self.collections()[target]}
            yield from dangling(keys, known, self.source(kind), name, self.source(target).file)
