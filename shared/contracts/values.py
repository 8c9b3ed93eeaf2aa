"""The values every message is made of: ids, moments, and the strict base of all messages."""

from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

#: 1-255 Unicode scalar values without control characters; lone surrogates cannot be UTF-8 and fail before.
Id = Annotated[str, StringConstraints(pattern=r"^[^\p{Cc}]{1,255}$")]

#: Unix epoch milliseconds. The upper bound is the year 9999, the last one RFC 3339 can write.
EpochMillis = Annotated[int, Field(ge=0, le=253_402_300_799_999)]


class Message(BaseModel):
    """A message's data: strict types, camelCase on the wire, unknown fields ignored, declared ones written."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
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
