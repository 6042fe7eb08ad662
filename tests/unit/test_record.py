"""What a step leaves in the journal (R12, R13, R15, R23)."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, RootModel

from resaga.errors import CodecError, UnsupportedTypeError
from resaga.record import ABSENT, About, Failure, Record, RecordCodec
from tests.unit import values as v


@dataclass
class Reserved:
    hold: str
    parts: list[int] = field(default_factory=list[int])


@dataclass
class Charged:
    payment: str
    reserved: Reserved | None = None


class Paid(BaseModel):
    payment: str
    notes: list[str] = []


class Nothing(RootModel[int | None]):
    pass


def codec_of(output: object, data: object) -> RecordCodec:
    return RecordCodec(output, data, where="step 'Pay'")


HELD = Reserved("h-1", [1])
WRONG: Any = Reserved
"""For values that do not fit their annotations."""

CASES: list[tuple[object, object, object, object, dict[str, object]]] = [
    (Reserved, Reserved, HELD, HELD, {"output": {"hold": "h-1", "parts": [1]}}),
    (Reserved, Reserved, HELD, ABSENT, {"output": {"hold": "h-1", "parts": [1]}}),
    (
        Reserved,
        Charged,
        HELD,
        Charged("p", HELD),
        {
            "output": {"hold": "h-1", "parts": [1]},
            "data": {"payment": "p", "reserved": {"hold": "h-1", "parts": [1]}},
        },
    ),
    (Reserved, None, HELD, None, {"output": {"hold": "h-1", "parts": [1]}, "data": None}),
    (None, None, None, ABSENT, {}),
    (None, None, None, None, {"data": None}),
    (None, int | None, None, 5, {"data": 5}),
    (Any, Any, {"a": 1}, [1], {"output": {"a": 1}, "data": [1]}),
    (Any, Any, None, ABSENT, {}),
    (
        Paid,
        Paid,
        Paid(payment="p"),
        Paid(payment="q"),
        {"output": {"payment": "p", "notes": []}, "data": {"payment": "q", "notes": []}},
    ),
    (Paid | None, Paid, None, ABSENT, {}),
    (Nothing, Nothing, Nothing(None), Nothing(1), {"output": None, "data": 1}),
    (
        v.Mixed,
        list[v.Mixed],
        v.Mixed(v.Plain(number=1), []),
        [v.Mixed(v.Plain(number=2), [v.Camel.model_validate({"firstName": "a"})])],
        {
            "output": {
                "one": {"number": 1, "when": None, "amount": "0"},
                "many": [],
                "maybe": None,
                "named": {},
            },
            "data": [
                {
                    "one": {"number": 2, "when": None, "amount": "0"},
                    "many": [{"firstName": "a", "orderLines": []}],
                    "maybe": None,
                    "named": {},
                }
            ],
        },
    ),
]


@pytest.mark.parametrize(("output_type", "data_type", "output", "data", "journal"), CASES)
def test_r23_a_record_is_readable_and_comes_back(
    output_type: object,
    data_type: object,
    output: object,
    data: object,
    journal: dict[str, object],
) -> None:
    codec = codec_of(output_type, data_type)
    raw = codec.encode("inv_1.2", output, data)
    assert json.loads(raw) == {"key": "inv_1.2", **journal}
    record = codec.decode(raw)
    expected = output if data is ABSENT and output is not None else data
    assert record == Record("inv_1.2", output, expected, None)
    assert type(record.output) is type(output)
    assert codec.seal("inv_1.2", output, data) == (raw, record)
    assert codec.decode_data(raw) == expected


def test_data_that_is_the_output_is_stored_once_and_stands_for_it() -> None:
    codec = codec_of(Reserved, Reserved)
    raw = codec.encode("k", HELD, HELD)
    assert raw.count(b"h-1") == 1
    record = codec.decode(raw)
    assert record.data is record.output
    # Data that only equal it are data of their own.
    assert codec.encode("k", HELD, Reserved("h-1", [1])).count(b"h-1") == 2


def test_r12_data_are_read_afresh_whatever_became_of_the_output() -> None:
    codec = codec_of(Reserved, Reserved)
    raw = codec.encode("k", HELD, HELD)
    record = codec.decode(raw)
    assert isinstance(record.output, Reserved)
    record.output.parts.append(2)
    assert codec.decode_data(raw) == HELD
    sealed = codec.seal("k", HELD, HELD)[1]
    assert sealed.output == HELD
    assert sealed.output is not HELD


@pytest.mark.parametrize(
    ("failure", "journal"),
    [
        (Failure("sold out", 409), {"message": "sold out", "code": 409}),
        (
            Failure("no", 500, {"a": "b"}),
            {"message": "no", "code": 500, "metadata": {"a": "b"}},
        ),
        (Failure("no", 500, {}), {"message": "no", "code": 500, "metadata": {}}),
    ],
)
def test_r12_a_failure_is_kept_with_its_data(failure: Failure, journal: dict[str, object]) -> None:
    codec = codec_of(Reserved, Reserved | None)
    raw = codec.encode_failure("k", failure, ABSENT)
    assert json.loads(raw) == {"key": "k", "failure": journal}
    assert codec.decode(raw) == Record("k", None, ABSENT, failure)
    assert codec.decode_data(raw) is ABSENT
    raw = codec.encode_failure("k", failure, HELD)
    assert json.loads(raw)["data"] == {"hold": "h-1", "parts": [1]}
    assert codec.decode(raw) == Record("k", None, HELD, failure)
    raw = codec.encode_failure("k", failure, None)
    assert codec.decode(raw) == Record("k", None, None, failure)


def test_r23_what_is_unusual_about_a_step_is_told_beside_its_result() -> None:
    codec = codec_of(Reserved, Reserved)
    about = About(undo=False, within=(("Pay", "3.1.1"),))
    raw, record = codec.seal("k", HELD, ABSENT, about)
    told = {"undo": False, "within": [["Pay", "3.1.1"]]}
    assert json.loads(raw)["about"] == told
    assert codec.decode(raw) == record == Record("k", HELD, HELD, None, about)
    failure = Failure("no", 409)
    raw = codec.encode_failure("k", failure, ABSENT, about)
    assert json.loads(raw)["about"] == told
    assert codec.decode(raw) == Record("k", None, ABSENT, failure, about)


def test_lone_surrogates_in_a_failure_do_not_hide_it() -> None:
    codec = codec_of(None, None)
    raw = codec.encode_failure("k", Failure("a\ud800", 500, {"b\udfff": "c\udfff"}), ABSENT)
    failure = codec.decode(raw).failure
    assert failure == Failure("a\\ud800", 500, {"b\\udfff": "c\\udfff"})


LOOP: list[object] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("output_type", "data_type", "output", "data", "fault"),
    [
        (Reserved, Reserved, "secret", ABSENT, "output: $: expected object, got str"),
        (Reserved, Reserved, None, ABSENT, "output: $: expected object, got null"),
        (Reserved, None, None, None, "output: $: expected object, got null"),
        (Paid, Paid, None, ABSENT, "output: $: expected object, got null"),
        (Nothing, Nothing, None, ABSENT, "output: $"),
        (
            Reserved,
            Charged,
            HELD,
            Charged("p", WRONG(1)),
            "compensation data: $.reserved.hold: expected str, got int",
        ),
        (None, int, None, None, "compensation data: $: expected int, got null"),
        (Any, Any, HELD, ABSENT, "output: $: a Reserved would come back as object; annotate"),
        (Any, Any, 1, HELD, "compensation data: $: a Reserved would come back as object; "),
        (str, str, "secret\ud800", ABSENT, "output: $: a string in it has a lone surrogate"),
        (float, float, float("nan"), ABSENT, "output: $: a number that is not finite"),
        (Any, Any, LOOP, ABSENT, "output: $: nested too deeply, or it contains itself"),
        (Paid, Paid, HELD, ABSENT, "output: $: "),
        (v.Base, v.Base, v.Derived(1), ABSENT, "output: $: a Derived would come back as Base"),
        (v.Base, v.Base, v.Base(1), v.Derived(1), "compensation data: $: a Derived would come"),
    ],
)
def test_r15_what_cannot_be_kept_is_refused_before_it_is(
    output_type: object, data_type: object, output: object, data: object, fault: str
) -> None:
    with pytest.raises(CodecError) as caught:
        codec_of(output_type, data_type).encode("k", output, data)
    assert str(caught.value).startswith(fault)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_r15_data_of_a_failure_that_cannot_be_kept_are_refused() -> None:
    with pytest.raises(CodecError, match=r"^compensation data: \$\.hold: expected str, got int$"):
        codec_of(None, Reserved).encode_failure(
            "k",
            Failure("no", 500),
            WRONG(1),
        )


def test_a_key_that_is_no_text_is_refused() -> None:
    for data in (2, ABSENT):
        with pytest.raises(CodecError, match=r"^journal entry: \$: a string in it has a lone surr"):
            codec_of(int, int).encode("\ud800", 1, data)


def deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


def test_r15_what_is_nested_a_little_too_deeply_is_refused_as_well() -> None:
    codec = codec_of(Any, Any)

    def encode_ever_deeper() -> None:
        for levels in range(5, 2000, 5):
            raw = codec.encode("k", deep(levels), ABSENT)
            assert codec.decode(raw).key == "k"

    with pytest.raises(CodecError, match="nested too deeply"):
        encode_ever_deeper()


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"", "journal entry: invalid JSON (incomplete)"),
        (b"null", "journal entry: $: expected object, got null"),
        (b"{}", "journal entry: $: missing required field `key`"),
        (b'{"key":"k","output":{"hold":"h","parts":["secret"]}}', "journal entry: $.output.parts["),
        (b'{"key":"k","failure":{"message":"m"}}', "journal entry: $.failure: missing required "),
        (b'{"key":"k","data":{"secret":1}}', "journal entry: $: missing required field `payment`"),
    ],
)
def test_r23_what_is_no_record_is_told_as_such(raw: bytes, fault: str) -> None:
    with pytest.raises(CodecError) as caught:
        codec_of(Reserved, Paid).decode(raw)
    assert str(caught.value).startswith(fault)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_r23_fields_of_later_versions_are_passed_over() -> None:
    codec = codec_of(Reserved, Reserved)
    raw = b'{"later":{"a":[1]},"key":"k","output":{"hold":"h","later":1},"v":2}'
    assert codec.decode(raw) == Record("k", Reserved("h"), Reserved("h"), None)


@pytest.mark.parametrize(
    ("raw", "record"),
    [
        ('{"key":"k"}', Record("k", None, ABSENT, None)),
        ('{"key":"k","output":{"hold":"h"}}', Record("k", Reserved("h"), Reserved("h"), None)),
        (
            '{"key":"k","output":{"hold":"h"},"data":{"hold":"i"}}',
            Record("k", Reserved("h"), Reserved("i"), None),
        ),
        ('{"key":"k","data":{"hold":"i"}}', Record("k", None, Reserved("i"), None)),
        ('{"key":"k","data":null}', Record("k", None, None, None)),
        (
            '{"key":"k","failure":{"message":"m","code":409}}',
            Record("k", None, ABSENT, Failure("m", 409)),
        ),
        (
            '{"key":"k","data":{"hold":"i"},"failure":{"message":"m","code":409,"metadata":{}}}',
            Record("k", None, Reserved("i"), Failure("m", 409, {})),
        ),
    ],
)
def test_r23_format_1_is_read(raw: str, record: Record) -> None:
    """These bytes are in journals: this test may gain cases, and never lose or change one."""
    assert codec_of(Reserved | None, Reserved | None).decode(raw.encode()) == record


def test_r16_types_are_checked_when_the_codec_is_made() -> None:
    with pytest.raises(UnsupportedTypeError, match=r"^step 'Pay', output: complex cannot go"):
        codec_of(complex, int)
    with pytest.raises(UnsupportedTypeError, match=r"^step 'Pay', compensation data: complex "):
        codec_of(int, complex)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(), JSON, JSON | st.just(ABSENT))
def test_any_output_and_data_come_back(key: str, output: object, data: object) -> None:
    codec = codec_of(Any, Any)
    record = codec.decode(codec.encode(key, output, data))
    assert record.key == key
    assert record.output == output
    assert record.data == (output if data is ABSENT and output is not None else data)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(CodecError):
        codec_of(Reserved, Paid).decode(raw)
