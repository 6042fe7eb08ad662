"""Types of every kind that resaga carries (R16), and values of them."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    TypedDict,
    TypeVar,
)

import msgspec
import pydantic
from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.alias_generators import to_camel

T = TypeVar("T")

OrderId = NewType("OrderId", str)


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Access(enum.IntFlag):
    READ = 1
    WRITE = 2


@dataclass
class Line:
    product: str
    quantity: int
    price: Decimal = Decimal("1.10")


@dataclass(frozen=True, slots=True)
class Order:
    id: OrderId
    lines: list[Line]
    size: Size = Size.SMALL
    note: str | None = None
    placed: dt.datetime | None = None
    tags: frozenset[str] = frozenset()
    extra: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(eq=False)
class Opaque:
    """A class whose instances are equal to themselves only."""

    number: int
    parts: list[int]


@dataclass
class Page(Generic[T]):
    items: list[T]
    following: Page[T] | None = None


@dataclass
class Base:
    number: int


@dataclass
class Derived(Base):
    more: int = 0


@dataclass
class Open:
    payload: dict[str, Any]
    anything: object = None


@dataclass
class Checked:
    """A class that is particular about what it is made of."""

    number: int

    def __post_init__(self) -> None:
        if self.number == 13:
            raise ValueError(f"unlucky {self.number}")
        if self.number == 14:
            raise KeyError(self.number)


@dataclass
class Number:
    value: float
    maybe: float | None = None


class Point(NamedTuple):
    x: int
    y: int


class Address(TypedDict):
    street: str
    zip: NotRequired[int]


class Struct(msgspec.Struct, rename="camel", frozen=True):
    first_name: str
    birth_day: dt.date
    links: list[Struct] = []


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    tricks: list[str]


class Plain(BaseModel):
    number: int
    when: dt.datetime | None = None
    amount: Decimal = Decimal(0)


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)

    first_name: str
    order_lines: tuple[Plain, ...] = ()


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    at: dt.datetime
    key: uuid.UUID
    size: Size
    pair: tuple[int, str]


class Box(BaseModel, Generic[T]):
    content: T


class Numbers(RootModel[list[int]]):
    pass


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class Reader(BaseModel):
    kind: Literal["reader"] = "reader"
    name: str


class Writer(BaseModel):
    kind: Literal["writer"] = "writer"
    name: str


class Library(BaseModel):
    people: list[Annotated[Reader | Writer, Field(discriminator="kind")]]
    untold: Reader | Writer | None = None


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    side: int

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def area(self) -> int:
        return self.side**2


class Liberal(BaseModel):
    model_config = ConfigDict(extra="allow")

    number: int


@pydantic.dataclasses.dataclass
class Validated:
    number: int = Field(gt=0)
    name: str = Field(default="a", alias="theName")


@dataclass
class Mixed:
    """Of msgspec and pydantic both."""

    one: Plain
    many: list[Camel]
    maybe: Plain | None = None
    named: dict[str, Box[int]] = field(default_factory=dict[str, Box[int]])


Person = Annotated[Reader | Writer, Field(discriminator="kind")]

MOMENT = dt.datetime(2024, 2, 29, 12, 30, 5, 123456, tzinfo=dt.UTC)
KEY = uuid.UUID(int=5)

VALUES: list[tuple[object, Any]] = [
    (None, None),
    (bool, True),
    (int, -5),
    (int, 2**64 + 1),
    (int, -(10**40)),
    (float, 1.5),
    (float, -0.0),
    (float, 3),
    (float, 5e-324),
    (str, "Grüße \u0000 \U0001f600"),
    (bytes, b"\x00\xff"),
    (bytearray, bytearray(b"ab")),
    (Decimal, Decimal("1.10")),
    (Decimal, Decimal("NaN")),
    (Decimal, Decimal("-sNaN5")),
    (Decimal, Decimal("-Infinity")),
    (uuid.UUID, KEY),
    (dt.datetime, MOMENT),
    (dt.datetime, MOMENT.replace(tzinfo=None)),
    (dt.date, dt.date(2024, 2, 29)),
    (dt.time, dt.time(1, 2, 3, 4)),
    (dt.timedelta, dt.timedelta(days=-1, microseconds=1)),
    (Size, Size.LARGE),
    (Level, Level.HIGH),
    (Access, Access.READ | Access.WRITE),
    (Literal["a", 1, None], 1),
    (OrderId, OrderId("o-1")),
    (list[int], [1, 2]),
    (Sequence[int], [1, 2]),
    (Mapping[str, int], {"a": 1}),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2)),
    (set[Level], {Level.LOW}),
    (frozenset[str], frozenset({"a"})),
    (dict[str, list[int]], {"a": [1]}),
    (dict[int, str], {1: "a"}),
    (dict[Size, int], {Size.SMALL: 1}),
    (dict[Annotated[str, msgspec.Meta(title="a name")], int], {"a": 1}),
    (dict[object, int], {"a": 1}),
    (dict[uuid.UUID, int], {KEY: 1}),
    (dict[Literal["a", 1], int], {"a": 1, 1: 2}),
    (Annotated[int, msgspec.Meta(ge=3)], 3),
    (int | str | None, "a"),
    (int | str | None, None),
    (list[int] | int, [1]),
    (Size | Level, Level.LOW),
    (Point, Point(1, 2)),
    (Address, {"street": "a"}),
    (Line, Line("a", 1)),
    (
        Order,
        Order(OrderId("o"), [Line("a", 2)], Size.LARGE, None, MOMENT, frozenset("ab"), {"x": 1.5}),
    ),
    (Order | None, Order(OrderId("o"), [])),
    (Order | None, None),
    (Opaque, Opaque(1, [2])),
    (Page[int], Page([1], Page([2]))),
    (Page[Line], Page([Line("a", 1)])),
    (Checked, Checked(1)),
    (Struct, Struct("a", dt.date(2024, 1, 1), [Struct("b", dt.date(2024, 1, 2))])),
    (Cat | Dog, Dog(["sit"])),
    (Cat | Dog | int | None, Cat(9)),
    (list[Cat | Dog], [Cat(9), Dog([])]),
    (Plain, Plain(number=1, when=MOMENT, amount=Decimal("1.10"))),
    (Plain | None, None),
    (Plain | None, Plain(number=1)),
    (Camel, Camel.model_validate({"firstName": "a", "orderLines": [{"number": 1}]})),
    (Strict, Strict(at=MOMENT, key=KEY, size=Size.SMALL, pair=(1, "a"))),
    (Box[int], Box[int](content=1)),
    (Box[Line], Box[Line](content=Line("a", 1))),
    (Box[Plain] | None, Box[Plain](content=Plain(number=1))),
    (Numbers, Numbers([1, 2])),
    (RootModel[int | None], RootModel[int | None](None)),
    (Tree, Tree(name="a", children=[Tree(name="b")])),
    (Library, Library(people=[Writer(name="a"), Reader(name="b")], untold=Writer(name="c"))),
    (Computed, Computed(side=2)),
    (Liberal, Liberal.model_validate({"number": 1, "more": [1, "a"]})),
    (Validated, Validated(1, theName="b")),
    (Validated | None, None),
    (Person, Writer(name="a")),
    (Reader | Writer, Writer(name="a")),
    (list[Person], [Writer(name="a"), Reader(name="b")]),
    (dict[str, Plain], {"a": Plain(number=1)}),
    (list[Validated], [Validated(1)]),
    (Plain | str | None, "a"),
    (
        Mixed,
        Mixed(
            Plain(number=1),
            [Camel.model_validate({"firstName": "a"})],
            None,
            {"a": Box[int](content=1)},
        ),
    ),
    (list[Mixed | None], [Mixed(Plain(number=1), [], Plain(number=2)), None]),
    (Any, {"a": [1, 1.5, "x", True, None, {}]}),
    (object, [1]),
    (dict[str, object], {"a": {"b": [None]}}),
    (list[Any], [1, "a"]),
    (Open, Open({"a": 1}, ["b"])),
]
