"""Types that resaga refuses, and some that it must not (R16)."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, NewType, Optional, TypedDict, cast

import msgspec
import pydantic
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Secret,
    SecretBytes,
    SecretStr,
    Tag,
    field_serializer,
    field_validator,
)
from typing_extensions import TypeAliasType

from tests.unit import values as v


class Arbitrary:
    """Neither dataclass nor struct nor model."""


class Half(enum.Enum):
    A = "a"
    B = 1


class Cow(msgspec.Struct):
    milk: int


class Hen(msgspec.Struct):
    eggs: int


@dataclass
class Initialised:
    number: dataclasses.InitVar[int]


@dataclass
class Unresolved:
    other: Missing  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]


@dataclass
class WithSecret:
    password: SecretStr


@dataclass
class WithPeople:
    people: list[v.Reader | v.Writer]


@dataclass
class WithValidated:
    inner: v.Validated | None


class Login(BaseModel):
    password: SecretStr


class Deep(BaseModel):
    logins: dict[str, list[Login | None]]


class Choice(BaseModel):
    way: Annotated[v.Reader | v.Writer, Field(discriminator="kind")]
    bytes_: Annotated[Optional[SecretBytes], "a note"] = None  # noqa: UP045


class Kept(BaseModel):
    kept: Secret[int]


class SecretCard(BaseModel):
    kind: Literal["card"]
    number: SecretStr


class Cash(BaseModel):
    kind: Literal["cash"]


class Payment(BaseModel):
    means: Annotated[SecretCard | Cash, Field(discriminator="kind")]


class Excluding(BaseModel):
    lost: int = Field(1, exclude=True)


class OneWay(BaseModel):
    number: int = Field(validation_alias="in", serialization_alias="out")


class OutOnly(BaseModel):
    number: int = Field(serialization_alias="out")


class ByPath(BaseModel):
    number: int = Field(1, validation_alias=AliasPath("a", 0))


class AliasIgnored(BaseModel):
    model_config = ConfigDict(validate_by_alias=False, validate_by_name=True)

    number: int = Field(1, alias="no")


class Function(BaseModel):
    function: Callable[[int], int] | None = None


class Loose(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    thing: list[Arbitrary] = []


class LooseSecret(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    thing: SecretStr | Literal["none"] | None = None


class LooseFunction(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    function: Callable[[int], int]


class WithStruct(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    inner: Annotated[Cow, "a note"]


class Untagged(BaseModel):
    either: v.Line | v.Base


class ModelUnresolved(BaseModel):
    other: MissingToo  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]


@pydantic.dataclasses.dataclass
class DataclassUnresolved:
    other: MissingThree  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]


class Owner(BaseModel):
    line: v.Line
    bad: list[WithSecret]


class HasUnresolved(BaseModel):
    model_config = ConfigDict(defer_build=True)

    inner: Unresolved


class Typed(TypedDict):
    password: SecretStr


class Named(NamedTuple):
    password: SecretStr


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    number: int = Field(validation_alias="in")


class Choices(BaseModel):
    number: int = Field(
        validation_alias=AliasChoices("a", AliasPath("no"), AliasPath("x", 1)),
        serialization_alias="no",
    )


class Written(BaseModel):
    """Says itself how its class is written and read."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    thing: Arbitrary

    @field_serializer("thing")
    def write(self, _thing: Arbitrary) -> str:
        return "thing"

    @field_validator("thing", mode="before")
    @classmethod
    def read(cls, value: object) -> object:
        return SAME if value == "thing" else value


SAME = Arbitrary()

Thing = Annotated[
    Arbitrary,
    BeforeValidator(lambda value: SAME if value == "thing" else value),
    PlainSerializer(lambda _: "thing"),
]


class Annotations(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    thing: Thing
    known: dt.date | None = None


class Allowed(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    known: list[dt.date | Literal["never"]] = []


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return str(cast("dict[str, object]", value)["kind"])
    assert isinstance(value, (v.Reader, v.Writer))
    return value.kind


class ByFunction(BaseModel):
    one: Annotated[
        Annotated[v.Reader, Tag("reader")] | Annotated[v.Writer, Tag("writer")],
        Discriminator(_kind),
    ]
    many: list[
        Annotated[
            Annotated[v.Reader, Tag("reader")] | Annotated[v.Writer, Tag("writer")],
            Discriminator(_kind),
        ]
    ]


@dataclass
class TaggedOne:
    kind: Literal["one"]


@dataclass
class TaggedTwo:
    kind: Literal["two"]


class Tagged(BaseModel):
    either: TaggedOne | TaggedTwo | None


Number = NewType("Number", int)
Alias = TypeAliasType("Alias", list[v.Plain])


class Aliased(BaseModel):
    numbers: list[Number]
    alias: Alias
    point: v.Point = v.Point(1, 2)
    page: v.Page[int] = v.Page([1])
    own: Aliased | None = None
