"""R16: values come back as the same type, on the first attempt as on a replay."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import itertools
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypedDict

import msgspec
import pydantic
import pytest
from restate import TerminalError

from resaga import (
    CompensationContext,
    Saga,
    StepContext,
    StepResponse,
    UnsupportedTypeError,
    create_saga_step,
    create_saga_workflow,
    saga_step,
    saga_workflow,
)
from resaga.serde import codec_for
from tests.support import Rig


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Card(msgspec.Struct, tag=True, rename="camel"):
    card_number: str


class Cash(msgspec.Struct, tag=True):
    amount: Decimal


class Model(pydantic.BaseModel):
    unit_price: Decimal = pydantic.Field(alias="unitPrice")
    when: dt.date


class Typed(TypedDict):
    name: str
    size: int


@dataclass(frozen=True)
class Everything:
    at: dt.datetime
    price: Decimal
    id: uuid.UUID
    colour: Colour
    paid: Card | Cash
    typed: Typed
    maybe: int | None
    kind: Literal["a", "b"]
    tags: frozenset[str]
    pair: tuple[int, str]
    raw: bytes
    took: dt.timedelta
    notes: dict[str, list[int]] = field(default_factory=dict[str, list[int]])


@dataclass
class WithModel:
    model: Model
    others: list[Model]


EVERYTHING = Everything(
    at=dt.datetime(2026, 11, 24, 8, 30, tzinfo=dt.UTC),
    price=Decimal("10.50"),
    id=uuid.UUID(int=7),
    colour=Colour.RED,
    paid=Card(card_number="4242"),
    typed={"name": "n", "size": 1},
    maybe=None,
    kind="b",
    tags=frozenset({"x", "y"}),
    pair=(1, "one"),
    raw=b"\x00\xff",
    took=dt.timedelta(seconds=1.5),
    notes={"a": [1, 2]},
)
MODEL = Model(unitPrice=Decimal("9.99"), when=dt.date(2026, 11, 24))

VALUES: dict[str, tuple[Any, Any]] = {
    "optional of a model": (Model | None, None),
    "list of enums": (list[Colour], [Colour.RED]),
    "list of int enums": (list[Level], [Level.LOW, Level.HIGH]),
    "list of tagged structs": (list[Card | Cash], [Cash(amount=Decimal(3)), Card("4242")]),
    "list of models": (list[Model], [MODEL]),
    "dict of dataclasses": (dict[str, Everything], {"one": EVERYTHING}),
    "dict of models": (dict[str, Model], {"one": MODEL}),
    "dict of decimals by UUID": (dict[uuid.UUID, Decimal], {uuid.UUID(int=7): Decimal(10)}),
    "dict of dates by enum": (dict[Colour, dt.date], {Colour.RED: dt.date(2026, 2, 28)}),
    "optional datetimes in a list": (list[dt.datetime | None], [None, EVERYTHING.at]),
    "typed dicts in a dict": (dict[str, Typed], {"one": {"name": "n", "size": 1}}),
    "a huge number": (int, 10**400),
    "dataclass": (Everything, EVERYTHING),
    "struct in a union": (Card | Cash, Cash(amount=Decimal(3))),
    "model": (Model, MODEL),
    "models in a dataclass": (WithModel, WithModel(MODEL, [MODEL])),
    "optional": (Everything | None, EVERYTHING),
    "list": (list[Card], [Card(card_number="1"), Card(card_number="2")]),
    "datetime": (dt.datetime, EVERYTHING.at),
    "decimal": (Decimal, Decimal("0.10")),
    "JSON": (Any, {"a": [1, 2.5, None, True, "x"]}),
    "struct with renamed fields": (Card, Card(card_number="4242")),
    "typed dict": (Typed, {"name": "n", "size": 1}),
    "enum": (Colour, Colour.RED),
    "int enum": (Level, Level.HIGH),
    "date": (dt.date, dt.date(2026, 2, 28)),
    "time": (dt.time, dt.time(8, 30, 1)),
    "UUID": (uuid.UUID, uuid.UUID(int=7)),
    "models in a union": (Model | None, MODEL),
    "kinds of JSON": (int | str | None, "7"),
    "float": (float, 2.0),
    "bool": (bool, True),
    "text": (str, 'größe "💶" \x00'),
}


def kinds(value: Any) -> Any:
    """The types of a value and of all within: ``Decimal(1) == 1 == True == Level.LOW``."""
    any_value: Any = value
    inner: Iterable[Any] = ()
    if isinstance(value, dict):
        inner = itertools.chain.from_iterable(any_value.items())
    elif isinstance(value, (list, tuple)):
        inner = any_value
    elif isinstance(value, frozenset):
        inner = sorted(any_value)
    elif dataclasses.is_dataclass(value):
        inner = [getattr(any_value, each.name) for each in dataclasses.fields(value)]
    elif isinstance(value, msgspec.Struct):
        inner = [getattr(any_value, name) for name in value.__struct_fields__]
    elif isinstance(value, pydantic.BaseModel):
        inner = [part for _, part in value]
    return type(any_value), [kinds(part) for part in inner]


@pytest.mark.parametrize("name", VALUES)
async def test_r16_a_value_comes_back_as_it_was(rig: Rig, name: str) -> None:
    """As input, output and data; the second attempt takes all of them from the journal."""
    declared, value = VALUES[name]
    seen: list[tuple[str, Any]] = []
    attempts: list[int] = []

    async def run(step: StepContext, given: Any) -> Any:
        seen.append(("input", given))
        return StepResponse(given, given)

    response: Any = StepResponse
    run.__annotations__["return"] = response[declared, declared]

    async def undo(step: CompensationContext[object, Any], data: Any) -> None:
        seen.append(("data", data))

    step = create_saga_step("S", run, undo)

    async def body(saga: Saga, given: Any) -> None:
        attempts.append(1)
        output = await step(saga, given)
        seen.append(("output", output))
        if len(attempts) == 1:
            raise ValueError("a hiccup")
        raise TerminalError("no", 409)

    body.__annotations__["given"] = declared
    workflow = create_saga_workflow(rig.name("Values"), body)
    await rig.serve(workflow)
    content = codec_for(declared, where="the test").encode(value)
    await rig.fail(workflow, content=content)
    assert len(attempts) >= 2
    assert sum(where == "output" for where, _ in seen) >= 2, "from the action, and the journal"
    assert {where for where, _ in seen} == {"input", "output", "data"}
    for where, got in seen:
        assert got == value, where
        assert kinds(got) == kinds(value), where


async def test_r16_data_is_what_the_step_left_whatever_the_body_does_with_the_output(
    rig: Rig,
) -> None:
    async def run(step: StepContext) -> list[int]:
        return [1, 2]

    async def undo(step: CompensationContext[object, None], data: Any) -> None:
        rig.ledger.undo(step, data)

    step = create_saga_step("S", run, undo)

    @saga_workflow(rig.name("Mutated"))
    async def workflow(saga: Saga) -> None:
        output = await step(saga)
        output.append(3)
        raise TerminalError("no")

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert rig.ledger.payload("undo S") == [1, 2]


@pytest.mark.parametrize("retried", [False, True])
async def test_r16_data_is_not_changed_through_the_input(rig: Rig, retried: bool) -> None:
    """Data that is the very input stays what it was when the step left it."""
    attempts: list[int] = []

    @saga_step("S")
    async def changes(step: StepContext, order: list[int]) -> StepResponse[int, list[int]]:
        order.append(2)
        return StepResponse(len(order), order)

    @changes.compensate
    async def undo(step: CompensationContext[object, list[int]], data: list[int]) -> None:
        rig.ledger.undo(step, data)
        data.append(9)
        if rig.ledger.count("undo S") == 1:
            raise ValueError("a hiccup")

    @saga_workflow(rig.name("InputMutated"))
    async def workflow(saga: Saga, order: list[int]) -> None:
        attempts.append(1)
        await changes(saga, order)
        order.append(3)
        if retried and len(attempts) == 1:
            raise ValueError("a hiccup")
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    await rig.fail(workflow, [1])
    undone = [effect.payload for effect in rig.ledger.effects(kind="undo")]
    assert undone == [[1, 2], [1, 2]], "nor by the compensation's own first attempt"


async def test_r16_data_that_is_the_output_is_journaled_once(rig: Rig) -> None:
    big = "x" * 1000

    async def run(step: StepContext) -> StepResponse[str, str]:
        return StepResponse(big)

    step = create_saga_step("S", run)

    @saga_workflow(rig.name("Once"))
    async def workflow(saga: Saga) -> int:
        return len(await step(saga))

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    assert await invocation.result() == 1000
    journaled = [e.value for e in await invocation.journal() if e.name == "S" and e.value]
    assert all(str(value).count(big) == 1 for value in journaled)
    assert journaled


@dataclass
class One:
    a: int


@dataclass
class Two:
    a: int


class Secretive(pydantic.BaseModel):
    password: pydantic.SecretStr


REFUSED: list[Any] = [
    One | Two,
    list[One | Two],
    dict[str, One | Two | None],
    pydantic.SecretStr,
    Secretive,
    list[Secretive],
    Callable[[], int],
]


@pytest.mark.parametrize("declared", REFUSED)
@pytest.mark.parametrize("where", ["output", "compensation data", "input of a workflow"])
def test_r16_a_type_that_cannot_come_back_is_refused(declared: Any, where: str) -> None:
    async def run(step: StepContext) -> Any:
        return None

    async def body(saga: Saga, given: Any) -> None:
        """Never runs."""

    response: Any = StepResponse
    both = response[int, declared] if where == "compensation data" else declared
    run.__annotations__["return"] = both
    body.__annotations__["given"] = declared
    with pytest.raises(UnsupportedTypeError) as refused:
        if where == "input of a workflow":
            create_saga_workflow("W", body)
        else:
            create_saga_step("S", run)
    told = str(refused.value)
    assert ("'S'" if where != "input of a workflow" else "W") in told
    assert "cannot go through JSON and come back as it was" in told


async def test_r16_a_compensation_is_given_data_or_input_whatever_the_two_are(rig: Rig) -> None:
    """JSON could not tell the two apart; resaga knows which of them it hands over."""
    given: list[tuple[One | Two, bool]] = []

    async def run(step: StepContext, order: One) -> Two:
        if order.a == 0:
            raise TerminalError("nothing left", 410)
        return Two(order.a + 10)

    async def undo(step: CompensationContext[object, One], data: Two | One) -> None:
        given.append((data, step.has_data))

    step = create_saga_step("S", run, undo)

    @saga_workflow(rig.name("DataOrInput"))
    async def workflow(saga: Saga) -> None:
        await step(saga, One(1))
        await step(saga, One(0))

    await rig.serve(workflow)
    assert (await rig.fail(workflow)).code == 410
    assert given == [(One(0), False), (Two(11), True)]
    assert [type(data) for data, _ in given] == [One, Two]
