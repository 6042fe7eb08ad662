"""Steps made of functions, without decorators, and the types that users then see.

The definitions run when pytest imports this file, so what the checkers accept works, too.
"""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableSagaStep,
    DurableStepContext,
    Retry,
    SagaStep,
    StepContext,
    StepResponse,
    create_saga_step,
    create_saga_step_strict,
)
from tests.typing.domain import Inventory, Order, Reserved, Services

# -- without decorators -------------------------------------------------------------------


async def reserve(step: StepContext[Services], order: Order) -> StepResponse[Reserved, str]:
    return StepResponse(Reserved(order.product), "hold-1")


async def look_up(step: StepContext, order: Order) -> Reserved:
    return Reserved(order.product)


async def release(step: CompensationContext[Inventory], data: str | Order) -> None: ...


async def release_data(step: CompensationContext, data: str) -> None: ...


async def call(step: DurableStepContext, order: Order) -> Reserved:
    return Reserved(order.product)


async def call_back(step: DurableCompensationContext, data: Reserved | Order) -> None: ...


def begin(step: StepContext) -> None: ...


def end(step: CompensationContext, data: None) -> None: ...


made = create_saga_step("made", reserve, release, retry=Retry(max_attempts=2))
made_alone = create_saga_step("made alone", begin, end)
made_bare = create_saga_step("made bare", look_up, timeout=timedelta(seconds=1))
made_strict = create_saga_step_strict("made strict", reserve, release_data)
made_strict_alone = create_saga_step_strict("made strict alone", begin)
made_durable = create_saga_step("made durable", call, call_back, durable=True)
made_durable_strict = create_saga_step_strict("made durable strict", call, durable=True)

assert_type(made, SagaStep[Order, Reserved, str | Order, Services])
assert_type(made_alone, SagaStep[None, None, None, object])
assert_type(made_bare, SagaStep[Order, Reserved, Reserved | Order, object])
assert_type(made_strict, SagaStep[Order, Reserved, str, Services])
assert_type(made_strict_alone, SagaStep[None, None, None, object])
assert_type(made_durable, DurableSagaStep[Order, Reserved, Reserved | Order, object])
assert_type(made_durable_strict, DurableSagaStep[Order, Reserved, Reserved, object])


# -- input and output of the same type ----------------------------------------------------


async def same(step: StepContext, text: str) -> str:
    return text


async def undo_same(step: CompensationContext[object, str], text: str) -> None: ...


def same_plain(step: StepContext, text: str) -> str:
    return text


async def same_response(step: StepContext, text: str) -> StepResponse[str, str]:
    return StepResponse(text, text)


async def same_durable(step: DurableStepContext, text: str) -> str:
    return text


async def undo_same_durable(step: DurableCompensationContext[object, str], text: str) -> None: ...


made_same = create_saga_step("made same", same, undo_same)
made_same_strict = create_saga_step_strict("made same strict", same, undo_same)
made_same_plain = create_saga_step("made same plain", same_plain, undo_same)
made_same_response = create_saga_step("made same response", same_response, undo_same)
made_same_durable = create_saga_step(
    "made same durable", same_durable, undo_same_durable, durable=True
)
assert_type(made_same, SagaStep[str, str, str, object])
assert_type(made_same_strict, SagaStep[str, str, str, object])
assert_type(made_same_plain, SagaStep[str, str, str, object])
assert_type(made_same_response, SagaStep[str, str, str, object])
assert_type(made_same_durable, DurableSagaStep[str, str, str, object])
