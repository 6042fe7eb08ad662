"""What annotations tell of the user's functions, and what is said where they tell nothing."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Optional, Union, cast

import pytest

from resaga import MisuseError, StepContext, StepResponse
from resaga.signature import (
    Extras,
    Parameter,
    UnresolvedName,
    check_function,
    parameters,
    resolve,
    response_types,
    returns,
)

if TYPE_CHECKING:
    from decimal import Decimal

EMPTY = inspect.Parameter.empty


@dataclass
class Order:
    product: str


class Shop:
    async def sell(self, step: StepContext, order: Order) -> Order:
        return order

    async def __call__(self, step: StepContext, order: Order) -> Order:
        return order


async def run(step: StepContext, order: Order) -> Order:
    return order


async def injected(
    step: StepContext, order: Order, *more: int, session: str = "", **rest: int
) -> Order:
    return order


async def hidden(step: StepContext, order: Order) -> Decimal:
    raise NotImplementedError


async def hidden_input(step: StepContext, order: Decimal) -> Order:
    raise NotImplementedError


def eventually(step: StepContext) -> Awaitable[Order]:
    return run(step, Order("x"))


def coroutine(step: StepContext) -> Coroutine[Any, Any, Order]:
    return run(step, Order("x"))


# A lambda has no annotations.
bare = cast("Callable[..., object]", eval("lambda step, order: None"))


def generator(step: StepContext) -> Iterator[int]:
    yield 1


async def async_generator(step: StepContext) -> AsyncIterator[int]:
    yield 1


# -- what can be called --------------------------------------------------------------------------


@pytest.mark.parametrize("fn", [run, Shop().sell, Shop(), functools.partial(run), bare])
def test_a_function_is_whatever_can_be_called(fn: object) -> None:
    check_function(fn, where="step 'S'")


@pytest.mark.parametrize("fn", [None, 7, "run", object()])
def test_r21_what_cannot_be_called_is_refused(fn: object) -> None:
    with pytest.raises(MisuseError, match=r"^step 'S' is .*Give a function"):
        check_function(fn, where="step 'S'")


@pytest.mark.parametrize("fn", [generator, async_generator, functools.partial(generator)])
def test_r21_a_generator_is_refused(fn: object) -> None:
    with pytest.raises(MisuseError, match=r"^step 'S' is a generator.*`yield`.*Return the result"):
        check_function(fn, where="step 'S'")


# -- parameters ----------------------------------------------------------------------------------


def test_parameters_are_the_positional_ones_as_they_stand_in_the_code() -> None:
    expected = (Parameter("step", "StepContext"), Parameter("order", "Order"))
    assert parameters(run) == expected
    assert parameters(injected) == expected


def test_self_is_no_parameter() -> None:
    assert [p.name for p in parameters(Shop().sell)] == ["step", "order"]
    assert [p.name for p in parameters(Shop())] == ["step", "order"]


def test_what_a_partial_fills_is_no_positional_parameter() -> None:
    assert [p.name for p in parameters(functools.partial(run, order=Order("x")))] == ["step"]


def test_no_annotation_is_told_as_such() -> None:
    assert [p.annotation for p in parameters(bare)] == [EMPTY, EMPTY]


# -- resolving -----------------------------------------------------------------------------------


@pytest.mark.parametrize("annotation", [None, EMPTY])
def test_nothing_is_resolved_where_there_is_nothing(annotation: object) -> None:
    assert resolve(run, annotation, where="step 'S'", what="the input") is annotation


@pytest.mark.parametrize(
    ("annotation", "meant"),
    [
        ("Order", Order),
        (Order, Order),
        ("list[Order]", list[Order]),
        (list["Order"], list[Order]),
        ("Order | None", Order | None),
        ("Annotated[int, 'positive']", Annotated[int, "positive"]),
    ],
)
def test_an_annotation_is_resolved_where_the_function_stands(
    annotation: object, meant: object
) -> None:
    assert resolve(run, annotation, where="step 'S'", what="the input") == meant


def test_a_type_of_the_function_around_it_is_found() -> None:
    @dataclass
    class Local:
        x: int

    async def inner(step: StepContext) -> Local:
        return Local(1)

    assert returns(inner, where="step 'S'") is Local


def test_a_wrapped_function_is_resolved_where_it_was_written() -> None:
    @functools.wraps(run)
    async def wrapper(*args: Any) -> Any: ...

    assert returns(wrapper, where="step 'S'") is Order


def test_only_what_is_asked_for_is_resolved() -> None:
    """The other annotations may name what is there for the type checker alone."""
    assert resolve(hidden, "Order", where="step 'S'", what="the input") is Order
    assert returns(hidden_input, where="step 'S'") is Order


@pytest.mark.parametrize(
    ("resolved", "what"),
    [
        (lambda: returns(hidden, where="step 'S'"), "the result"),
        (
            lambda: resolve(hidden_input, "Decimal", where="step 'S'", what="the input"),
            "the input",
        ),
    ],
)
def test_r15_a_name_that_does_not_resolve_is_told_with_the_mend(
    resolved: Callable[[], object], what: str
) -> None:
    with pytest.raises(UnresolvedName) as refused:
        resolved()
    told = str(refused.value)
    assert told.startswith("step 'S': the annotation 'Decimal'")
    assert f"of {what} uses 'Decimal'" in told
    assert __name__ in told
    assert "Define or import the type at module level" in told
    assert refused.value.__cause__ is None
    assert isinstance(refused.value, MisuseError)


# -- results -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fn", [run, injected, Shop().sell, eventually, coroutine])
def test_the_result_is_what_is_there_when_it_has_been_awaited(fn: Callable[..., object]) -> None:
    assert returns(fn, where="step 'S'") is Order


def test_a_result_without_annotation_is_told_as_such() -> None:
    assert returns(bare, where="step 'S'") is EMPTY


@pytest.mark.parametrize(
    ("annotation", "output", "data"),
    [
        (int, int, int),
        (EMPTY, EMPTY, EMPTY),
        (None, None, None),
        (StepResponse, EMPTY, EMPTY),
        (StepResponse[int], int, int),
        (StepResponse[int, str], int, str),
        (StepResponse[None, str], type(None), str),
        (StepResponse[Order, Order | None], Order, Order | None),
        (Optional[int], int | None, int | None),  # noqa: UP045
    ],
)
def test_a_response_names_output_and_data(annotation: object, output: object, data: object) -> None:
    assert response_types(annotation, where="step 'S'") == (output, data)


@pytest.mark.parametrize(
    "annotation",
    [
        StepResponse[int, str] | None,
        Union[StepResponse[int, str], int],  # noqa: UP007
        Optional[StepResponse[Any]],  # noqa: UP045
    ],
)
def test_r21_a_response_in_a_union_is_refused(annotation: object) -> None:
    with pytest.raises(MisuseError, match=r"^step 'S' returns .*StepResponse\[Output, Data\]"):
        response_types(annotation, where="step 'S'")


# -- what a provider may inject ------------------------------------------------------------------


def test_extras_are_what_the_caller_does_not_fill() -> None:
    extras = Extras(injected, 2, where="step 'Sell'")
    assert extras.annotations() == {"session": str}
    assert extras.required == []
    assert not Extras(run, 2, where="step 'Sell'")


def test_extras_stand_after_the_input_or_as_keyword() -> None:
    def after(step: StepContext, order: Order, clock: float, spare: int = 1) -> None: ...
    def keyword(step: StepContext, *, clock: float) -> None: ...

    first = Extras(after, 2, where="step 'Sell'")
    assert (first.required, len(first)) == (["clock"], 2)
    second = Extras(keyword, 2, where="step 'Sell'")
    assert (second.required, second.annotations()) == (["clock"], {"clock": float})


def test_extras_are_resolved_when_they_are_needed() -> None:
    def late(step: StepContext, order: Order, price: Decimal) -> None: ...

    extras = Extras(late, 2, where="step 'Sell'")
    assert extras.required == ["price"]
    with pytest.raises(UnresolvedName, match=r"step 'Sell'.*parameter 'price'.*'Decimal'"):
        extras.annotations()


def test_extras_are_given_by_name() -> None:
    def slashed(step: StepContext, order: Order, clock: float, /) -> None: ...

    with pytest.raises(MisuseError, match=r"step 'Sell'.*'clock'.*slash"):
        Extras(slashed, 2, where="step 'Sell'")
