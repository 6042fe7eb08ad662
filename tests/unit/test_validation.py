"""What is wrong with a value is told by path and kind (R22, R24)."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import importlib.util
import sys
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import PydanticCustomError

from resaga.validation import a_kind, describe, json_kind


class Size(enum.Enum):
    SMALL = "s"


@dataclass
class Order:
    quantity: int
    size: Size = Size.SMALL
    by_number: dict[int, int] = field(default_factory=dict[int, int])


@dataclass
class Particular:
    number: int

    def __post_init__(self) -> None:
        raise ValueError(f"secret {self.number} - at `$.secret`")


class Sealed(msgspec.Struct, forbid_unknown_fields=True):
    x: int = 1


class Cat(msgspec.Struct, tag=True):
    pass


class Dog(msgspec.Struct, tag=True):
    pass


class Two(msgspec.Struct, tag=2):
    pass


class Three(msgspec.Struct, tag=3):
    pass


def fault_of(declared: Any, data: bytes) -> msgspec.MsgspecError:
    with pytest.raises(msgspec.MsgspecError) as caught:
        msgspec.json.decode(data, type=declared)
    return caught.value


@pytest.mark.parametrize(
    ("declared", "data", "text"),
    [
        (Order, b'{"quantity":"secret"}', "$.quantity: expected int, got str"),
        (Order, b'{"quantity":1,"size":"secret"}', "$.size: invalid enum value"),
        (Order, b"{}", "$: missing required field `quantity`"),
        (list[Order], b"[{}]", "$[0]: missing required field `quantity`"),
        (
            Order,
            b'{"quantity":1,"by_number":{"secret":1}}',
            "$.by_number: expected int, got str as a key",
        ),
        (
            Order,
            b'{"quantity":1,"by_number":{"1":[]}}',
            "$.by_number[...]: expected int, got array",
        ),
        (Order, b"[]", "$: expected object, got array"),
        (Order, b'{"quantity":', "invalid JSON (incomplete)"),
        (Order, b"", "invalid JSON (incomplete)"),
        (int, b"1 se", "invalid JSON (byte 3)"),
        (Order, b'{"a" 1}', "invalid JSON (byte 5)"),
        (Sealed, b'{"secret":1}', "$: unknown field"),
        (list[Sealed], b'[{"secret":1}]', "$[0]: unknown field"),
        (Cat | Dog, b'{"type":"secret"}', "$.type: invalid tag"),
        (Two | Three, b'{"type":99}', "$.type: invalid tag"),
        (Cat | Dog, b"{}", "$: missing required field `type`"),
        (Literal["a"], b'"secret"', "$: invalid enum value"),
        (uuid.UUID, b'"secret"', "$: invalid UUID"),
        (decimal.Decimal, b'"secret"', "$: invalid decimal string"),
        (bytes, b'"secret!"', "$: invalid base64 encoded string"),
        (dt.datetime, b'"secret"', "$: invalid RFC3339 encoded datetime"),
        (dt.date, b'"secret"', "$: invalid RFC3339 encoded date"),
        (dt.time, b'"secret"', "$: invalid RFC3339 encoded time"),
        (dt.timedelta, b'"secret"', "$: invalid ISO8601 duration"),
        (dt.timedelta, b'"P1Y"', "$: invalid value"),
        (dt.timedelta, b'"P999999999999D"', "$: duration is out of range"),
        (float, b"1e999", "$: number out of range"),
        (int | str | None, b"1.5", "$: expected int | str | null, got float"),
        (tuple[int, str], b"[1]", "$: expected array of length 2"),
        (Annotated[int, msgspec.Meta(ge=3)], b"1", "$: expected int >= 3"),
        (
            Annotated[dt.datetime, msgspec.Meta(tz=True)],
            b'"2020-01-01T00:00:00"',
            "$: expected datetime with a timezone component",
        ),
        (list[Particular], b'[{"number":66}]', "$[0]: invalid value (ValueError)"),
        (Particular, b'{"number":66}', "$: invalid value (ValueError)"),
    ],
)
def test_r24_msgspec_is_told_without_the_value(declared: object, data: bytes, text: str) -> None:
    assert describe(fault_of(declared, data)) == text


def test_only_names_that_are_known_stand_in_a_path() -> None:
    fault = fault_of(list[Order], b'[{"quantity":1,"by_number":{"1":"a"}}]')
    assert describe(fault, names={"by_number"}) == "$[0].by_number[...]: expected int, got str"
    assert describe(fault, names=()) == "$[0][...][...]: expected int, got str"


def test_r24_a_field_that_looks_like_a_path_is_not_shown() -> None:
    fault = fault_of(Sealed, b'{"x - at `$.secret":1}')
    assert describe(fault, names={"x"}) == "$[...]: unknown field"


class Line(BaseModel):
    quantity: int = Field(gt=0)
    product: str = Field(alias="theProduct")


class Basket(BaseModel):
    lines: list[Line] = []
    by_name: dict[str, Line] = {}
    size: Size = Size.SMALL
    way: Annotated[
        Annotated[CardWay | CashWay, Field(discriminator="kind")] | None, Field(default=None)
    ]


class CardWay(BaseModel):
    kind: Literal["card"]


class CashWay(BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    kind: Literal["cash"]


class Custom(BaseModel):
    value: int
    other: int = 0

    @pydantic.field_validator("value")
    @classmethod
    def check(cls, value: int) -> int:
        if value == 1:
            raise PydanticCustomError("secret_1", "secret {value}", {"value": value})
        if value == 2:
            raise ValueError(f"secret {value}")
        assert value != 3, "secret"
        return value


FAULT = "$[{}]: expected int, got str"
NAMES = {"lines", "quantity", "theProduct", "by_name", "size", "way", "kind", "value", "other"}


def model_fault(declared: object, data: str) -> pydantic.ValidationError:
    with pytest.raises(pydantic.ValidationError) as caught:
        TypeAdapter[object](declared).validate_json(data)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return caught.value


@pytest.mark.parametrize(
    ("declared", "data", "text"),
    [
        (Line, '{"quantity":"secret","theProduct":"a"}', "$.quantity: expected int, got str"),
        (Line, '{"quantity":null,"theProduct":"a"}', "$.quantity: expected int, got null"),
        (Line, '{"quantity":1.5,"theProduct":"a"}', "$.quantity: invalid value (int from float)"),
        (Line, '{"quantity":0,"theProduct":"a"}', "$.quantity: invalid value (greater than)"),
        (Line, '{"quantity":1,"theProduct":[]}', "$.theProduct: expected str, got array"),
        (Line, '{"quantity":1}', "$: missing required field `theProduct`"),
        (Line, "[]", "$: expected object, got array"),
        (Line, '{"quantity":', "$: invalid JSON"),
        (Basket, '{"lines":[{"quantity":1}]}', "$.lines[0]: missing required field `theProduct`"),
        (Basket, '{"lines":{}}', "$.lines: expected array, got object"),
        (
            Basket,
            '{"by_name":{"secret":{"quantity":1}}}',
            "$.by_name[...]: missing required field `theProduct`",
        ),
        (Basket, '{"size":"secret"}', "$.size: invalid enum value"),
        (Basket, '{"way":{"kind":"secret"}}', "$.way: invalid tag"),
        (Basket, '{"way":{}}', "$.way: missing tag"),
        (Basket, '{"way":{"kind":"cash","secret":1}}', "$.way[...][...]: unknown field"),
        (CardWay, '{"kind":"secret"}', "$.kind: invalid enum value"),
        (None, "1", "$: expected null, got int"),
        (dt.timedelta, '"secret"', "$: expected timedelta, got str"),
        (Custom, '{"value":1}', "$.value: invalid value"),
        (Custom, '{"value":2}', "$.value: invalid value"),
        (Custom, '{"value":3}', "$.value: invalid value"),
        (
            Custom,
            '{"value":"secret","other":"secret"}',
            "$.value: expected int, got str; $.other: expected int, got str",
        ),
        (
            list[int],
            '["a","b","c","d","e"]',
            f"{FAULT.format(0)}; {FAULT.format(1)}; {FAULT.format(2)}; and 2 more",
        ),
    ],
)
def test_r24_pydantic_is_told_without_the_value(declared: object, data: str, text: str) -> None:
    assert describe(model_fault(declared, data), names=NAMES) == text


def test_r24_where_no_names_are_known_pydantics_are_not_shown() -> None:
    fault = model_fault(Basket, '{"lines":[{"quantity":"secret","theProduct":"a"}]}')
    assert describe(fault) == "$[...][0][...]: expected int, got str"
    # Except for one that can only be a field's.
    assert describe(model_fault(Line, '{"quantity":1}')) == "$: missing required field `theProduct`"


def test_a_model_within_what_msgspec_reads_goes_on_with_the_path() -> None:
    def read(cls: type, value: object) -> object:
        return TypeAdapter[object](cls).validate_python(value)

    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(
            b'{"a":[{"quantity":"secret","theProduct":"a"}]}',
            type=dict[str, list[Line]],
            dec_hook=read,
        )
    assert describe(caught.value, names=NAMES) == "$[...][0].quantity: expected int, got str"


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (RecursionError("secret"), "$: nested too deeply"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "secret"), "invalid JSON (not UTF-8)"),
        (ValueError("secret"), None),
        (KeyError("secret"), None),
    ],
)
def test_other_exceptions_are_not_about_values(fault: Exception, text: str | None) -> None:
    assert describe(fault) == text


@pytest.mark.parametrize(
    ("value", "kind", "with_article"),
    [
        (None, "null", "a null"),
        ([], "array", "an array"),
        ({}, "object", "an object"),
        (1, "int", "an int"),
        (True, "bool", "a bool"),
        ("a", "str", "a str"),
        (Order(1), "Order", "an Order"),
    ],
)
def test_kinds_are_named_as_in_json(value: object, kind: str, with_article: str) -> None:
    assert json_kind(value) == kind
    assert a_kind(value) == with_article


# No text of ours has a section sign, so what shows one has shown the secret.
@given(st.text(), st.text(min_size=8).map(lambda text: f"§{text}"))
def test_r24_no_text_of_an_exception_is_shown(text: str, secret: str) -> None:
    for raw in (f"{text}{secret}", f"{secret} - at `$.{secret}`", f"Invalid value '{secret}'"):
        told = describe(msgspec.ValidationError(raw), names=())
        assert told is not None
        assert secret not in told or told.startswith("$: expected")


def test_without_pydantic_there_are_no_errors_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = model_fault(Line, "[]")
    spec = importlib.util.find_spec("resaga.validation")
    assert spec is not None
    assert spec.loader is not None
    monkeypatch.setitem(sys.modules, "pydantic_core", None)
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    assert alone.describe(fault) is None
    assert alone.describe(fault_of(int, b'"a"')) == "$: expected int, got str"
