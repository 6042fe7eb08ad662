"""Whatever the value, and whatever the bytes (R15, R16, R22, R24)."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from resaga.errors import CodecError
from resaga.fidelity import first_difference, first_not_finite
from resaga.models import PydanticModels
from resaga.serde import codec_for
from tests.unit import values as v

FIELDS = PydanticModels().fields


def same(sent: object, back: object) -> bool:
    return first_difference(sent, back, FIELDS) is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
GENERATED = (
    v.Order,
    v.Struct,
    v.Page[int],
    v.Cat | v.Dog,
    v.Point,
    v.Address,
    v.Plain,
    v.Strict,
    v.Camel,
    v.Tree,
    v.Library,
    v.Mixed,
    v.Validated,
    dict[int, tuple[bytes, dt.timedelta | None]],
    set[v.Size],
)
PLAIN = st.builds(
    v.Plain,
    number=st.integers(),
    when=st.none() | st.datetimes(timezones=st.just(dt.UTC)),
    amount=st.decimals(allow_nan=False, allow_infinity=False),
)
CAMEL = st.builds(v.Camel, firstName=st.text(), orderLines=st.lists(PLAIN, max_size=2).map(tuple))
VALIDATED = st.builds(v.Validated, st.integers(min_value=1), theName=st.text())
PAGE = st.recursive(
    st.builds(v.Page[int], st.lists(st.integers())),
    lambda inner: st.builds(v.Page[int], st.lists(st.integers()), inner),
)
st.register_type_strategy(v.Plain, PLAIN)
st.register_type_strategy(v.Camel, CAMEL)
st.register_type_strategy(v.Validated, VALIDATED)
st.register_type_strategy(v.Page, PAGE)


@given(st.data())
def test_r16_any_value_of_a_type_comes_back(data: st.DataObject) -> None:
    declared: Any = data.draw(st.sampled_from(GENERATED))
    value = data.draw(st.from_type(declared))
    codec = codec_for(declared, where="here")
    if first_not_finite(value, FIELDS) is None:
        assert same(value, codec.decode(codec.encode(value)))
    else:
        assert "not finite" in message_of(partial(codec.encode, value))


@given(JSON)
def test_r16_plain_json_comes_back(value: object) -> None:
    codec = codec_for(Any, where="here")
    assert same(value, codec.decode(codec.encode(value)))


@given(st.sampled_from(GENERATED), st.binary())
def test_r22_bytes_are_read_or_refused_as_such(declared: object, data: bytes) -> None:
    with contextlib.suppress(CodecError):
        codec_for(declared, where="here").decode(data)


def message_of(act: Callable[[], object]) -> str:
    """What the error says, nothing if there is none."""
    try:
        act()
    except CodecError as exc:
        return str(exc)
    return ""


SECRETS = st.text("qQzZ", min_size=6).map("qz".__add__)


@given(
    st.sampled_from(GENERATED),
    st.recursive(
        SECRETS | st.integers() | st.none(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                SECRETS | st.sampled_from(["id", "lines", "number", "kind", "type", "one", "many"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=10,
    ),
    SECRETS,
)
def test_r24_messages_hold_none_of_the_value(declared: object, value: object, key: str) -> None:
    for given_value in (value, {key: value, "number": key, "kind": key, "type": key}):
        codec = codec_for(declared, where="here")
        data = msgspec.json.encode(given_value)
        assert "qz" not in message_of(partial(codec.decode, data))
        assert "qz" not in message_of(partial(codec.encode, given_value))
