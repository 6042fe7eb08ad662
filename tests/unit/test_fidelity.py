"""Whether a value came back as what it was, and where it did not (R16)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from resaga.fidelity import first_difference, first_not_finite
from resaga.models import PydanticModels
from tests.unit import values as v

FIELDS = PydanticModels().fields


@dataclass(slots=True)
class Partly:
    """A class whose instances may lack a field."""

    one: int
    two: int


def partly(**fields: int) -> Partly:
    value = object.__new__(Partly)
    for name, each in fields.items():
        setattr(value, name, each)
    return value


class Item(msgspec.Struct):
    number: Any


ANOTHER = "it would come back as another value"
ANNOTATE = "annotate its type, so that it comes back as it is"
NAIVE = v.MOMENT.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("sent", "back", "difference"),
    [
        (1, 1, None),
        (1, 2, f"$: {ANOTHER}"),
        (1, 1.0, None),
        (True, 1.0, f"$: a bool would come back as float; {ANNOTATE}"),
        (1.0, 1, f"$: a float would come back as int; {ANNOTATE}"),
        ([1, [2]], [1, [2]], None),
        ([1, [2]], [1, [3]], f"$[1][0]: {ANOTHER}"),
        ([1, 2], [1], "$: something in it would be lost"),
        ((1, 2), [1, 2], f"$: a tuple would come back as array; {ANNOTATE}"),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, None),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, f"$[...][...]: {ANOTHER}"),
        ({"a": 1}, {}, f"$: a key of type str would not come back; {ANNOTATE}"),
        ({1: 1}, {"1": 1}, f"$: a key of type int would not come back; {ANNOTATE}"),
        ({1, 2}, {2, 1}, None),
        ({1, 2}, {1}, f"$: {ANOTHER}"),
        (v.Opaque(1, [2]), v.Opaque(1, [2]), None),
        (v.Opaque(1, [2]), v.Opaque(1, [3]), f"$.parts[0]: {ANOTHER}"),
        (Item([1]), Item([1]), None),
        (Item([1]), Item([True]), f"$.number[0]: an int would come back as bool; {ANNOTATE}"),
        (partly(one=1), partly(one=1), None),
        (partly(one=1), partly(one=1, two=2), "$: something in it would be lost"),
        (v.Plain(number=1), v.Plain(number=1), None),
        (v.Plain(number=1), v.Plain(number=2), f"$.number: {ANOTHER}"),
        (NAIVE, NAIVE, None),
        (v.MOMENT, v.MOMENT.astimezone(dt.timezone(dt.timedelta(hours=2))), None),
        (v.MOMENT, v.MOMENT.replace(tzinfo=None), f"$: {ANOTHER}"),
        (v.MOMENT, v.MOMENT.replace(year=2020), f"$: {ANOTHER}"),
    ],
)
def test_the_first_difference_is_found(sent: object, back: object, difference: str | None) -> None:
    assert first_difference(sent, back, FIELDS) == difference


INFINITE = float("inf")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (1.5, None),
        (INFINITE, "$"),
        ([1, (2, -INFINITE)], "$[1][1]"),
        ({"a": 1.0, "b": {"c": INFINITE}}, "$[...][...]"),
        (Item(INFINITE), "$.number"),
        (v.Number(INFINITE), "$.value"),
        (v.Plain(number=1), None),
        ("inf", None),
    ],
)
def test_the_first_number_without_a_form_is_found(value: object, path: str | None) -> None:
    found = first_not_finite(value, FIELDS)
    assert found == (path and f"{path}: a number that is not finite has no form in JSON")
