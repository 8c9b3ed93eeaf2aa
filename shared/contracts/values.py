"""The values every message is made of: ids, moments, and the strict base of all messages."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

#: 1-255 Unicode scalar values without control characters; lone surrogates cannot be UTF-8 and fail before.
Id = Annotated[
    str,
    StringConstraints(pattern=r"^[^\p{Cc}]{1,255}$"),
    # The same in words that the regular expressions of every language know.
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^\x00-\x1f\x7f-\x9f]+$"}),
]

#: Unix epoch milliseconds. The upper bound is the year 9999, the last one RFC 3339 can write.
EpochMillis = Annotated[int, Field(ge=0, le=253_402_300_799_999)]


def _without_derived_titles(schema: dict[str, Any]) -> None:
    """A field has its name and its description; pydantic's title for it is the name once more, misspelt."""
    for described in schema.get("properties", {}).values():
        described.pop("title", None)


class Message(BaseModel):
    """A message's data: strict types, camelCase on the wire, unknown fields ignored, declared ones written."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        # What a field means stands under it, and from there goes into the schemas.
        use_attribute_docstrings=True,
        json_schema_extra=_without_derived_titles,
    )

    #: The CloudEvents type, major version included.
    TYPE: ClassVar[str]

    @classmethod
    def from_json(cls, value: bytes) -> Self:
        """Read one UTF-8 JSON object as it came over the wire.

        Raises:
            pydantic.ValidationError: the bytes are no such object.
        """
        message: Self = cls.__pydantic_validator__.validate_json(value, by_alias=True, by_name=False)
        return message

    def to_json(self) -> bytes:
        """The value bytes: the same message always gives the same bytes."""
        return self.__pydantic_serializer__.to_json(self, by_alias=True)
