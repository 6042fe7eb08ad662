"""Making steps: the decorators, the function forms, and what either refuses (R21)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableSagaStep,
    DurableStepContext,
    MisuseError,
    Retry,
    Saga,
    SagaStep,
    StepContext,
    StepResponse,
    UnsupportedTypeError,
    create_saga_step,
    create_saga_step_strict,
    create_saga_workflow,
    saga_step,
    saga_step_strict,
)
from resaga.signature import response_types

# What the type checkers refuse as well is passed through here.
Loose = Callable[..., Any]
loose_step: Loose = saga_step
loose_strict: Loose = saga_step_strict
loose_create: Loose = create_saga_step


@dataclass
class Reserved:
    hold: str


async def reserve(step: StepContext, product: str) -> StepResponse[Reserved]:
    """Hold one."""
    return StepResponse(Reserved(product))


async def release(step: CompensationContext, data: Reserved | str) -> None: ...


def release_in_thread(step: CompensationContext, data: Reserved | str) -> None: ...


async def call(step: DurableStepContext, product: str) -> Reserved:
    return Reserved(product)


async def call_back(step: DurableCompensationContext, data: Reserved | str) -> None: ...


def test_a_decorator_gives_a_step_with_its_options() -> None:
    retry, undo_retry = Retry(max_attempts=2), Retry(max_attempts=3)
    step = saga_step(
        "Reserve", retry=retry, compensation_retry=undo_retry, timeout=timedelta(seconds=1)
    )(reserve)
    assert type(step) is SagaStep
    assert (step.name, step.__doc__) == ("Reserve", "Hold one.")
    assert (step.options.retry, step.options.compensation_retry) == (retry, undo_retry)
    assert step.options.timeout == timedelta(seconds=1)
    assert (step.options.strict, step.options.durable) == (False, False)


@pytest.mark.parametrize(
    ("step", "strict", "durable"),
    [
        (saga_step("a")(reserve), False, False),
        (saga_step_strict("a")(reserve), True, False),
        (saga_step("a", durable=True)(call), False, True),
        (saga_step_strict("a", durable=True)(call), True, True),
        (create_saga_step("a", reserve), False, False),
        (create_saga_step_strict("a", reserve), True, False),
        (create_saga_step("a", call, durable=True), False, True),
        (create_saga_step_strict("a", call, durable=True), True, True),
    ],
)
def test_each_way_gives_its_kind(step: SagaStep, strict: bool, durable: bool) -> None:
    assert (step.options.strict, step.options.durable) == (strict, durable)
    assert isinstance(step, DurableSagaStep) is durable


def test_compensate_returns_the_function() -> None:
    assert saga_step("a")(reserve).compensate(release) is release
    assert saga_step("a", durable=True)(call).compensate(call_back) is call_back


@pytest.mark.parametrize(
    "step",
    [
        create_saga_step("Reserve", reserve, release),
        create_saga_step_strict("Reserve", reserve, release),
        create_saga_step("Reserve", call, call_back, durable=True),
        create_saga_step_strict("Reserve", call, call_back, durable=True),
    ],
)
def test_a_second_compensation_is_refused(step: SagaStep[str, Reserved, Reserved | str]) -> None:
    with pytest.raises(MisuseError, match=r"'Reserve' has a compensation already.*One step"):
        step.compensate(release)


def no_parameters() -> None: ...


def plain(step: StepContext) -> None: ...


def generator(step: StepContext, product: str) -> Iterator[str]:
    yield product


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: saga_step("")(reserve), "Give a non-empty string"),
        (lambda: saga_step("\ud800")(reserve), "lone surrogate"),
        (lambda: loose_step(7)(reserve), "Give a non-empty string"),
        (lambda: loose_step("a")(7), "Give a function"),
        (lambda: saga_step("a")(generator), "is a generator"),
        (lambda: loose_step("a")(no_parameters), "takes no argument"),
        (lambda: loose_step("a", durable=True, retry=Retry())(call), "durable and has retry"),
        (
            lambda: loose_strict("a", durable=True, timeout=timedelta(seconds=1))(call),
            "durable and has timeout",
        ),
        (
            lambda: loose_create("a", call, durable=True, compensation_retry=Retry()),
            "durable and has compensation_retry",
        ),
        (lambda: loose_step("a", durable=True)(plain), "make it an async def"),
        (lambda: loose_step("a", timeout=5)(reserve), "Give a datetime.timedelta"),
        (lambda: saga_step("a", timeout=timedelta())(reserve), "above zero"),
        (
            lambda: loose_step("a", timeout=timedelta(seconds=1))(plain),
            "cannot be stopped",
        ),
        (lambda: loose_create("a", reserve, plain), "gets two"),
        (lambda: loose_create("a", reserve, generator), "is a generator"),
        (
            lambda: loose_create("a", call, release_in_thread, durable=True),
            "make it an async def",
        ),
    ],
)
def test_misuse_is_refused_when_the_step_is_made(make: Callable[[], object], message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        make()


def test_a_type_that_json_cannot_carry_is_refused_when_the_step_is_made() -> None:
    async def stream(step: StepContext) -> asyncio.Event:
        return asyncio.Event()

    with pytest.raises(UnsupportedTypeError, match="step 'Stream'"):
        saga_step("Stream")(stream)


def test_the_data_of_a_response_is_its_output_unless_named() -> None:
    assert response_types(StepResponse[int], where="a") == (int, int)
    assert response_types(StepResponse[int, str], where="a") == (int, str)
    assert response_types(int, where="a") == (int, int)


def test_a_response_in_a_union_is_refused() -> None:
    async def either(step: StepContext) -> StepResponse[int] | None: ...

    with pytest.raises(MisuseError, match="StepResponse in a union"):
        saga_step("Either")(either)


def test_a_handler_is_not_called_as_a_function() -> None:
    async def body(saga: Saga) -> None: ...

    workflow = create_saga_workflow("Checkout", body)
    with pytest.raises(MisuseError, match=r"Checkout\.run was called as a function"):
        _ = workflow.run(None)
