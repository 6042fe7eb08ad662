"""Types that JSON cannot carry there and back are refused when they are declared (R16)."""

from __future__ import annotations

import datetime as dt
import inspect
import re
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NewType, Optional

import msgspec
import pytest
from pydantic import (
    BaseModel,
    Field,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
)

from resaga.errors import MisuseError, UnsupportedTypeError
from resaga.serde import codec_for
from resaga.shapes import NoModels, Refusal, Shape, normal, type_name
from tests.unit import shapes as t
from tests.unit import values as v

LOOK_ALIKE = "two of its members look alike in JSON, as objects"
SECRET = "it masks itself when it is written"
NO_FORM = "JSON has no form for it from which it could be built again"
NO_TYPE = "it is not a type whose values JSON can carry"
KEY = "the keys of a JSON object are strings"
UNKNOWN_NAME = "does not resolve. Define or import the types at module level"


GENERIC: Any = v.Box
BARE_CALLABLE = GENERIC[Callable]
BARE_PAGE = GENERIC[v.Page]


@pytest.mark.parametrize(
    ("declared", "what", "why"),
    [
        (v.Line | v.Base, "Line | Base", LOOK_ALIKE),
        (list[v.Line | v.Base | None], "Line | Base | None in list[", LOOK_ALIKE),
        (t.Cow | t.Hen, "Cow | Hen", LOOK_ALIKE),
        (v.Line | t.Cow, "Line | Cow", LOOK_ALIKE),
        (v.Line | dict[str, int], "Line | dict[str, int]", LOOK_ALIKE),
        (str | dt.datetime, "str | datetime", "JSON writes more than one of its members as str"),
        (int | v.Level, "int | Level", "JSON writes more than one of its members as int"),
        (set[int] | list[int], "set[int] | list[int]", "JSON writes more than one of its members"),
        (t.Arbitrary, "Arbitrary", NO_FORM),
        (dict[str, t.Arbitrary], "Arbitrary", NO_FORM),
        (complex, "complex", NO_FORM),
        (Iterator[int], "Iterator", NO_FORM),
        (Callable[[], int], "Callable", NO_FORM),
        (type, "type", NO_FORM),
        (t.Arbitrary | int, "Arbitrary | int", "a class that is neither dataclass nor struct"),
        (t.Half, "Half", "the values of an enum have to be all str or all int"),
        (t.Initialised, "Initialised", "an InitVar is not kept by the object"),
        ("Order", "'Order'", NO_TYPE),
        (5, "5", NO_TYPE),
        (t.Unresolved, "Unresolved", f"the name 'Missing' in it {UNKNOWN_NAME}"),
        (msgspec.Raw, "Raw", "it is not a value but an encoded one"),
        (dict[tuple[int, int], int], "dict[Tuple, ...]", KEY),
        (dict[bool, int], "dict[Bool, ...]", KEY),
        (dict[v.Line, int], "dict[Line, ...]", KEY),
        (dict[int | str, int], "dict[Union, ...]", KEY),
        (dict[Literal["a", True], int], "dict[Literal, ...]", KEY),
        (SecretStr, "SecretStr", SECRET),
        (list[SecretBytes], "SecretBytes", SECRET),
        (t.WithSecret, "SecretStr", SECRET),
        (t.Typed, "SecretStr", SECRET),
        (Secret[int] | None, "Secret", SECRET),
        (t.Login, "SecretStr", SECRET),
        (t.Login | None, "SecretStr", SECRET),
        (list[t.Login], "SecretStr", SECRET),
        (t.Deep, "SecretStr", SECRET),
        (t.Choice, "SecretBytes", SECRET),
        (t.Kept, "Secret", SECRET),
        (t.Payment, "SecretStr", SECRET),
        (t.Owner, "SecretStr", SECRET),
        (RootModel[SecretStr], "SecretStr", SECRET),
        (v.Box[t.Named], "SecretStr", SECRET),
        (t.LooseSecret, "SecretStr", SECRET),
        (v.Plain | SecretStr, "SecretStr", SECRET),
        (t.Excluding, "Excluding.lost", "it is excluded when the model is written"),
        (t.OneWay, "OneWay.number", "it is written as 'out' and not read under that name"),
        (t.OutOnly, "OutOnly.number", "it is written as 'out' and not read under that name"),
        (t.ByPath, "ByPath.number", "it is written as 'number' and not read under that name"),
        (t.AliasIgnored, "AliasIgnored.number", "it is written as 'no' and not read under"),
        (t.Function, "Callable[[int], int]", "a function has no form in JSON"),
        (t.LooseFunction, "Callable[[int], int]", "a function has no form in JSON"),
        (BARE_CALLABLE, "Callable", "a function has no form in JSON"),
        (t.Loose, "Loose.thing", "it holds a class that pydantic cannot read or write"),
        (t.WithStruct, "Cow", "pydantic does not read a msgspec.Struct"),
        (t.Untagged, "Line | Base", LOOK_ALIKE),
        (v.Plain | v.Camel, "Plain | Camel", LOOK_ALIKE),
        (BaseModel, "BaseModel", "it has no fields of its own"),
        (t.ModelUnresolved, "ModelUnresolved", f"the name 'MissingToo' in it {UNKNOWN_NAME}"),
        (
            t.DataclassUnresolved,
            "DataclassUnresolved",
            f"the name 'MissingThree' in it {UNKNOWN_NAME}",
        ),
        (t.HasUnresolved, "HasUnresolved", f"the name 'Missing' in it {UNKNOWN_NAME}"),
        (v.Plain | t.Arbitrary, "Plain | Arbitrary", "pydantic knows no way to read and write"),
        (t.WithPeople, "Reader | Writer in WithPeople", "a class that is neither dataclass nor"),
        (t.WithValidated, "Validated", "a pydantic dataclass inside of another class would not"),
        (v.Plain | v.Struct, "Plain | Struct", "a class that is neither dataclass nor struct"),
        (
            Annotated[v.Plain | v.Camel, Field(discriminator="kind")],
            "Plain | Camel",
            "pydantic cannot build it",
        ),
    ],
)
def test_r16_what_cannot_come_back_is_refused(declared: object, what: str, why: str) -> None:
    with pytest.raises(UnsupportedTypeError) as caught:
        codec_for(declared, where="step 'Pay', output")
    text = str(caught.value)
    assert text.startswith(f"step 'Pay', output: {what}")
    assert f" cannot go through JSON and come back as it was: {why}" in text
    assert re.search(r"\. (Define|Declare|Give|Make|Pass|Put|Take|Use|Wrap|If) .*\.$", text)
    assert isinstance(caught.value, MisuseError)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (t.ByName, t.ByName.model_validate({"in": 1})),
        (t.Choices, t.Choices.model_validate({"a": 1})),
        (t.Written, t.Written(thing=t.SAME)),
        (t.Annotations, t.Annotations(thing=t.SAME)),
        (t.Allowed, t.Allowed(known=["never", dt.date(2024, 1, 1)])),
        (t.ByFunction, t.ByFunction(one=v.Writer(name="a"), many=[v.Reader(name="b")])),
        (t.Tagged, t.Tagged(either=t.TaggedTwo("two"))),
        (
            t.Aliased,
            t.Aliased(numbers=[t.Number(1)], alias=[], own=t.Aliased(numbers=[], alias=[])),
        ),
        (t.Alias, [v.Plain(number=1)]),
        (NewType("Model", v.Plain), v.Plain(number=1)),
        (tuple[v.Validated, int] | None, (v.Validated(1), 2)),
    ],
)
def test_r16_what_pydantic_can_carry_is_not_refused(declared: object, value: object) -> None:
    codec = codec_for(declared, where="here")
    assert codec.decode(codec.encode(value)) == value
    assert codec.schema()


class Bare(BaseModel):
    items: list = []  # type: ignore[type-arg]  # pyright: ignore[reportMissingTypeArgument, reportUnknownVariableType]


@pytest.mark.parametrize(
    "declared",
    [Bare, v.Liberal, v.Box, list[v.Box[Any]], BARE_PAGE],
)
def test_a_model_that_leaves_something_open_is_looked_at_closely(declared: object) -> None:
    codec = codec_for(declared, where="here")
    # An IntEnum is equal to the number that it would come back as.
    assert codec.fault({"a": v.Level.LOW}, {"a": 1}) is not None
    assert codec_for(v.Plain, where="here").fault({"a": v.Level.LOW}, {"a": 1}) is None


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        (int, "int"),
        (v.Order | None, "Order | None"),
        (list[v.Order], "list[Order]"),
        (v.Page[v.Order], "Page[Order]"),
        (Optional[v.Order], "Order | None"),  # noqa: UP045
        (Annotated[v.Order, "a note"], "Order"),
        (dict[str, list[v.Order]], "dict[str, list[Order]]"),
        (v.Box[int], "Box[int]"),
        (Literal["a", 1], "Literal['a', 1]"),
        ("tests.unit.values.Order", "Order"),
        (types.NoneType, "NoneType"),
        (Any, "Any"),
    ],
)
def test_types_are_named_as_in_code(declared: object, name: str) -> None:
    assert type_name(declared) == name


def test_no_annotation_at_all_stands_for_any() -> None:
    assert normal(inspect.Parameter.empty) is Any
    assert normal(object) is Any
    assert normal(None) is type(None)
    assert normal(int) is int


def test_without_pydantic_nothing_is_a_model() -> None:
    models = NoModels()
    assert not models.is_model(v.Plain)
    assert not models.is_whole(v.Plain)
    assert not models.can_carry(v.Plain)
    assert models.fields(v.Plain(number=1)) is None
    with pytest.raises(Refusal, match=r"Plain: it is no pydantic model"):
        models.inspect(v.Plain, Shape())
    with pytest.raises(Refusal, match=r"Plain: it is no pydantic model"):
        models.engine(v.Plain)


def test_names_that_only_pydantic_finds_are_left_to_it() -> None:
    @dataclass
    class Inner:
        number: int

    @dataclass
    class Middle:
        inner: Inner

    class Outer(BaseModel):
        middle: Middle

    codec = codec_for(Outer, where="here")
    value = Outer(middle=Middle(Inner(1)))
    assert codec.decode(codec.encode(value)) == value
