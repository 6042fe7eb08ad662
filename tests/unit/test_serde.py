"""Values go to JSON and come back as what they were, or are refused (R15, R16, R22, R24)."""

from __future__ import annotations

import datetime as dt
import enum
import inspect
import json
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, Field, field_serializer

from resaga.errors import CodecError, UnsupportedTypeError
from resaga.fidelity import first_difference
from resaga.models import PydanticModels
from resaga.serde import codec_for
from tests.unit import values as v

FIELDS = PydanticModels().fields

WRONG: Any = v.Line
"""For values that do not fit their annotations."""


def same(sent: object, back: object) -> bool:
    return first_difference(sent, back, FIELDS) is None


@pytest.mark.parametrize(("declared", "value"), v.VALUES)
def test_r16_values_come_back_as_the_same_type(declared: object, value: object) -> None:
    codec = codec_for(declared, where="here")
    data = codec.encode(value)
    json.loads(data)
    back = codec.decode(data)
    assert type(back) is type(value) or (declared is float and back == value)
    assert same(value, back)


@pytest.mark.parametrize("declared", {id(t): t for t, _ in v.VALUES}.values(), ids=repr)
def test_r22_every_type_has_a_schema_whose_references_hold(declared: object) -> None:
    schema = codec_for(declared, where="here").schema()
    text = json.dumps(schema)
    for reference in text.split('"$ref": "')[1:]:
        name = reference.split('"')[0].removeprefix("#/$defs/")
        assert name in schema["$defs"]


def test_r22_schemas_name_fields_as_they_are_on_the_wire() -> None:
    schema = codec_for(v.Camel, where="here").schema()
    assert set(schema["properties"]) == {"firstName", "orderLines"}
    mixed = codec_for(v.Mixed, where="here").schema()
    assert mixed["$defs"]["Mixed"]["required"] == ["one", "many"]
    assert mixed["$defs"]["Camel.Plain"]["required"] == ["number"]


CAMEL = v.Camel.model_validate({"firstName": "a"})


@dataclass(frozen=True)
class Holder:
    model: v.Camel = CAMEL


def test_a_default_without_a_form_in_json_leaves_the_schema_open() -> None:
    codec = codec_for(Holder, where="here")
    assert codec.schema() == {}
    assert codec.decode(b"{}") == Holder()


def test_codecs_are_kept_where_types_can_be_compared() -> None:
    assert codec_for(v.Order, where="a") is codec_for(v.Order, where="b")
    unhashable = Annotated[v.Reader | v.Writer, Field(discriminator="kind"), []]
    with pytest.raises(TypeError):
        hash(unhashable)
    codec = codec_for(unhashable, where="a")
    assert codec.decode(codec.encode(v.Writer(name="a"))) == v.Writer(name="a")


@pytest.mark.parametrize("declared", [Any, object, inspect.Parameter.empty])
def test_without_an_annotation_plain_json_passes(declared: object) -> None:
    codec = codec_for(declared, where="here")
    assert codec.declared is Any
    assert codec.nullable
    assert codec.decode(b"") is None
    assert codec.decode(codec.encode({"a": [1, None]})) == {"a": [1, None]}


class Color(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (v.Line("secret", 1), "$: a Line would come back as object"),
        ((1, 2), "$: a tuple would come back as array"),
        ({"at": v.MOMENT}, "$[...]: a datetime would come back as str"),
        ([1, {2}], "$[1]: a set would come back as array"),
        ([Decimal(1)], "$[0]: a Decimal would come back as str"),
        (Color.RED, "$: a Color would come back as str"),
        (v.Level.LOW, "$: a Level would come back as int"),
        ({1: 2}, "$: a key of type int would not come back"),
        ({Color.RED: 2}, "$: a key of type Color would not come back"),
        (v.Point(1, 2), "$: a Point would come back as array"),
        (b"secret", "$: a bytes would come back as str"),
        (v.Cat(9), "$: a Cat would come back as object"),
    ],
)
def test_r16_without_an_annotation_other_values_are_refused(value: object, fault: str) -> None:
    with pytest.raises(CodecError) as caught:
        codec_for(Any, where="here").encode(value)
    assert str(caught.value) == f"{fault}; annotate its type, so that it comes back as it is"


class Model(BaseModel):
    number: float = 0
    maybe: float | None = None
    text: str = ""
    anything: Any = None


class Masked(BaseModel):
    token: str

    @field_serializer("token")
    def mask(self, value: str) -> str:
        return "***" if value else value


LOOP: list[object] = []
LOOP.append(LOOP)


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


class Untold:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("secret")

    def __hash__(self) -> int:
        return 1


@dataclass(unsafe_hash=True)
class Lame:  # noqa: PLW1641
    """Its instances cannot be compared, its fields can."""

    number: int

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("secret")


class Odd(enum.Enum):
    ONE = "secret"

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("secret")

    def __hash__(self) -> int:
        return 1


NOT_FINITE = "a number that is not finite has no form in JSON"


@pytest.mark.parametrize(
    ("declared", "value", "fault"),
    [
        (int, "secret", "$: expected int, got str"),
        (int, True, "$: expected int, got bool"),
        (v.Line, WRONG("a", "secret"), "$.quantity: expected int, got str"),
        (v.Order, None, "$: expected object, got null"),
        (v.Size, "secret", "$: invalid enum value"),
        (float, float("nan"), f"$: {NOT_FINITE}"),
        (Any, [float("inf")], f"$[0]: {NOT_FINITE}"),
        (set[float], {float("inf")}, f"$[0]: {NOT_FINITE}"),
        (dict[str, float], {"a": 1.0, "b": float("inf")}, f"$[...]: {NOT_FINITE}"),
        (v.Number, v.Number(float("-inf")), f"$.value: {NOT_FINITE}"),
        (v.Number, v.Number(1.0, float("nan")), f"$.maybe: {NOT_FINITE}"),
        (Model, Model(number=float("nan")), f"$.number: {NOT_FINITE}"),
        (Model, Model(maybe=float("nan")), f"$.maybe: {NOT_FINITE}"),
        (float, 2**60 + 1, "$: an int would come back as float; "),
        (str, "secret\ud800", "$: a string in it has a lone surrogate, which is no text"),
        (dict[str, int], {"\udfff": 1}, "$: a string in it has a lone surrogate, "),
        (Any, LOOP, "$: nested too deeply, or it contains itself"),
        (v.Plain, v.Plain.model_construct(), "$: missing required field `number`"),
        (Any, nested(5000), "$: nested too deeply"),
        (
            Any,
            object(),
            "$: an object in it has no form in JSON, or does not fit the declared type",
        ),
        (v.Line, WRONG("a", Untold()), "$: an Untold in it has no form in JSON, "),
        (Any, {(1, 2): 3}, "$: a tuple in it has no form in JSON, or does not fit the declared "),
        (v.Base, v.Derived(1, 2), "$: a Derived would come back as Base; "),
        (Model, Model(text="\ud800"), "$: it does not fit the declared type, or has no form in "),
        (Model, Model(anything=LOOP), "$: it does not fit the declared type, or has no form in "),
        (Model, Model(anything=v.MOMENT), "$.anything: a datetime would come back as str; "),
        (Model, v.Plain(number=1), "$: "),
        (list[Model], [v.Plain(number=1)], "$: a Plain in it has no form in JSON, "),
        (v.Liberal, v.Liberal.model_validate({"number": 1, "a": (1,)}), "$.(extra)[...]: a tuple "),
        (Masked, Masked(token="secret"), "$.token: it would come back as another value"),
        (v.Address, {"street": "a", "secret": 1}, "$: a key of type str would not come back; "),
        (
            dt.datetime,
            dt.datetime(1800, 1, 1, tzinfo=ZoneInfo("Europe/Paris")),
            "$: it would come back as another value",
        ),
        (tuple[float, int], (float("nan"), 1), f"$[0]: {NOT_FINITE}"),
        (list[int], (1, 2), "$: a tuple would come back as array; "),
        (Odd, Odd.ONE, "$: values of it cannot be compared (RuntimeError)"),
        (v.Checked, v.Base(13), "$: invalid value (ValueError)"),
        (v.Checked, v.Base(14), "$: building the value failed (KeyError)"),
    ],
)
def test_r15_a_value_that_would_not_come_back_is_refused_when_it_is_written(
    declared: object, value: object, fault: str
) -> None:
    codec = codec_for(declared, where="here")
    with pytest.raises(CodecError) as caught:
        codec.encode(value)
    assert str(caught.value).startswith(fault)
    assert "secret" not in str(caught.value)
    # Neither is it in what a traceback would show.
    assert caught.value.__context__ is None


def test_fields_are_compared_where_values_cannot_be() -> None:
    codec = codec_for(Lame, where="here")
    assert codec.decode(codec.encode(Lame(1))).number == 1


def test_a_time_that_python_calls_equal_to_no_other_comes_back() -> None:
    fold = dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris"))
    back = codec_for(dt.datetime, where="here").decode(
        codec_for(dt.datetime, where="here").encode(fold)
    )
    assert back.timestamp() == fold.timestamp()


@pytest.mark.parametrize(
    ("declared", "data", "fault"),
    [
        (v.Order, b"", "$: expected Order, got nothing"),
        (list[v.Order], b"", "$: expected list[Order], got nothing"),
        (v.Line, b'{"product":"a","quantity":"secret"}', "$.quantity: expected int, got str"),
        (v.Order, b'{"id":"a","lines":[{}]}', "$.lines[0]: missing required field `product`"),
        (v.Order, b'{"id":"a","lines":[],"size":"secret"}', "$.size: invalid enum value"),
        (v.Line, b'{"product" 1}', "invalid JSON (byte 11)"),
        (v.Line, b'{"product":', "invalid JSON (incomplete)"),
        (str, b'"\\ud800"', "invalid JSON (incomplete)"),
        (str, b'"\xff"', "invalid JSON (not UTF-8)"),
        (v.Struct, b'{"firstName":1}', "$.firstName: expected str, got int"),
        (v.Cat | v.Dog, b'{"type":"secret"}', "$.type: invalid tag"),
        (dict[str, int], b'{"secret":"secret"}', "$[...]: expected int, got str"),
        (v.Checked, b'{"number":13}', "$: invalid value (ValueError)"),
        (list[v.Checked], b'[{"number":13}]', "$[0]: invalid value (ValueError)"),
        (v.Checked, b'{"number":14}', "$: building the value failed (KeyError)"),
        (Any, b"[" * 500_000, "$: nested too deeply"),
        (float, b"1e999", "$: number out of range"),
        (Any, b"1e999", "$: number out of range"),
        (Any, b"NaN", "invalid JSON (byte 0)"),
        (int, b"9" * 5000, "$: integer value out of range"),
        (v.Plain, b"", "$: expected Plain, got nothing"),
        (v.Plain | None, b"[]", "$: expected object, got array"),
        (v.Plain, b"{}", "$: missing required field `number`"),
        (v.Plain, b'{"number":"secret"}', "$.number: expected int, got str"),
        (v.Plain, b'{"number":NaN}', "invalid JSON (byte 10)"),
        (Model, b'{"number":1e999}', "$[...]: number out of range"),
        (v.Camel, b'{"firstName":"a","orderLines":[{}]}', "$.orderLines[0]: missing required "),
        (dict[str, v.Plain], b'{"secret":{"number":[]}}', "$[...].number: expected int, got array"),
        (v.Mixed, b'{"one":{"number":"secret"},"many":[]}', "$.one.number: expected int, got str"),
        (v.Validated, b'{"number":0}', "$.number: invalid value (greater than)"),
        (v.Person, b'{"kind":"secret"}', "$: invalid tag"),
        (v.Computed, b'{"side":1,"secret":2}', "$[...]: unknown field"),
    ],
)
def test_r22_what_cannot_be_read_is_told_by_path_and_kind(
    declared: object, data: bytes, fault: str
) -> None:
    with pytest.raises(CodecError) as caught:
        codec_for(declared, where="here").decode(data)
    assert str(caught.value).startswith(fault)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("declared", [None, int | None, v.Order | None, v.Plain | None])
def test_no_bytes_are_none_where_none_is_a_value(declared: object) -> None:
    codec = codec_for(declared, where="here")
    assert codec.nullable
    assert codec.decode(b"") is None
    assert codec.encode(None) == b"null"


def test_of_two_entries_with_one_key_the_last_counts() -> None:
    assert codec_for(dict[str, int], where="here").decode(b'{"a":1,"a":2}') == {"a": 2}


def test_a_subclass_of_a_plain_type_comes_back_as_the_declared_one() -> None:
    codec = codec_for(list[str], where="here")
    assert codec.decode(codec.encode([Color.RED])) == ["red"]


def test_resaga_does_without_pydantic() -> None:
    program = """
import sys
sys.modules["pydantic"] = sys.modules["pydantic_core"] = None
from dataclasses import dataclass
from resaga.errors import CodecError, UnsupportedTypeError
from resaga.serde import codec_for

@dataclass
class Line:
    quantity: int

codec = codec_for(Line, where="here")
assert codec.decode(codec.encode(Line(1))) == Line(1)
try:
    codec.decode(b'{"quantity":"a"}')
except CodecError as exc:
    assert str(exc) == "$.quantity: expected int, got str"
try:
    codec_for(complex, where="here")
except UnsupportedTypeError:
    print("done")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "done\n", done.stderr


def test_pydantic_is_not_loaded_by_resaga_before_a_type_is_looked_at() -> None:
    program = (
        "import sys, resaga; assert 'resaga.models' not in sys.modules\n"
        "from resaga.serde import codec_for; codec_for(int, where='a number')\n"
        "assert 'resaga.models' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_fault_in_what_is_there_is_not_taken_for_a_missing_pydantic() -> None:
    program = (
        "import sys; sys.modules['resaga.models'] = None; import resaga.serde\n"
        "resaga.serde.codec_for(int, where='a number')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "import of resaga.models halted" in done.stderr


def test_r16_a_refusal_says_where_what_why_and_the_mend() -> None:
    with pytest.raises(UnsupportedTypeError) as caught:
        codec_for(v.Line | v.Base, where="step 'Reserve', output")
    assert str(caught.value) == (
        "step 'Reserve', output: Line | Base cannot go through JSON and come back as it was: two "
        "of its members look alike in JSON, as objects. Make them msgspec.Struct classes with "
        "tag=True, or pydantic models in a union with a discriminator."
    )
