"""Restate's own pattern, by hand: a list of compensations, and a try around the steps.

As Restate's guide to sagas tells it: what undoes an action is put on the list before the action
runs; in ``except TerminalError``, the list is run backwards, and the error raised again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

import restate
from restate import RunOptions, TerminalError

from chaos.compare import shop
from chaos.compare.contenders.warehouse import release, reserve, warehouse
from chaos.compare.shop import STEPS, Order, OrderFailed, OutOfStock

Compensations: TypeAlias = list[Callable[[], Awaitable[object]]]


def undoing(ctx: restate.Context, order: Order, step: str) -> Callable[[], Awaitable[object]]:
    """What undoes a step, for the list."""
    undo = partial(shop.undo, order.id, step)
    return lambda: ctx.run_typed(f"undo {step}", undo)


async def perform(ctx: restate.Context, order: Order, step: str) -> str:
    """Do a step."""
    return await ctx.run_typed(step, partial(shop.do, order.id, step))


checkout = restate.Service("Checkout")


@checkout.handler("run")
async def run_checkout(ctx: restate.Context, order: Order) -> str:
    """Four steps."""
    compensations: Compensations = []
    try:
        for step in STEPS:
            compensations.append(undoing(ctx, order, step))
            await perform(ctx, order, step)
    except TerminalError:
        for compensate in reversed(compensations):
            await compensate()
        raise
    return "sold"


wrapped = restate.Service("Wrapped")


@wrapped.handler("run")
async def run_wrapped(ctx: restate.Context, order: Order) -> str:
    """The body raises an error of its own from the step's."""
    compensations: Compensations = []
    try:
        try:
            for step in STEPS:
                compensations.append(undoing(ctx, order, step))
                await perform(ctx, order, step)
        except TerminalError as error:
            raise OrderFailed("the order failed") from error
    except TerminalError:
        for compensate in reversed(compensations):
            await compensate()
        raise
    return "sold"


grouped = restate.Service("Grouped")


@grouped.handler("run")
async def run_grouped(ctx: restate.Context, order: Order) -> str:
    """The body tries the last two steps, and raises what went wrong with both."""
    compensations: Compensations = []
    try:
        errors: list[TerminalError] = []
        for step in STEPS:
            compensations.append(undoing(ctx, order, step))
            try:
                await perform(ctx, order, step)
            except TerminalError as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup("not everything could be done", errors)
    except TerminalError:
        for compensate in reversed(compensations):
            await compensate()
        raise
    return "sold"


out_of_stock = restate.Service("OutOfStock")


@out_of_stock.handler("run")
async def run_out_of_stock(ctx: restate.Context, order: Order) -> str:
    """There is nowhere to register an error, so the body turns it into a terminal one itself."""
    compensations: Compensations = []
    try:
        for step in STEPS[:3]:
            compensations.append(undoing(ctx, order, step))
            await perform(ctx, order, step)
        try:
            raise OutOfStock("nothing left")
        except OutOfStock as error:
            raise TerminalError(str(error)) from error
    except TerminalError:
        for compensate in reversed(compensations):
            await compensate()
        raise


out_of_stock_in_step = restate.Service("OutOfStockInStep")


async def fail_to_ship() -> None:
    """The same inside an action."""
    try:
        raise OutOfStock("nothing left")
    except OutOfStock as error:
        raise TerminalError(str(error)) from error


@out_of_stock_in_step.handler("run")
async def run_out_of_stock_in_step(ctx: restate.Context, order: Order) -> str:
    """An action turns its error into a terminal one itself."""
    compensations: Compensations = []
    try:
        for step in STEPS[:3]:
            compensations.append(undoing(ctx, order, step))
            await perform(ctx, order, step)
        await ctx.run_typed("Ship", fail_to_ship)
    except TerminalError:
        for compensate in reversed(compensations):
            await compensate()
        raise
    return "sold"


calling = restate.Service("Calling")


@calling.handler("run")
async def run_calling(ctx: restate.Context, order: Order) -> str:
    """The first step, and what undoes it, call another service."""
    compensations: Compensations = []
    try:
        compensations.append(lambda: ctx.service_call(release, order.id))
        await ctx.service_call(reserve, order.id)
        for step in STEPS[1:]:
            compensations.append(undoing(ctx, order, step))
            await perform(ctx, order, step)
    except TerminalError:
        for compensate in reversed(compensations):
            await compensate()
        raise
    return "sold"


dataclass_result = restate.Service("DataclassResult")


@dataclass_result.handler("run")
async def run_dataclass_result(ctx: restate.Context, order: Order) -> str:
    """A step returns a dataclass; the next one fails at first, so the first is replayed."""
    compensations: Compensations = []
    try:
        compensations.append(undoing(ctx, order, "Charge"))
        receipt = await ctx.run_typed("Charge", shop.charge, order_id=order.id)
        compensations.append(undoing(ctx, order, "Ship"))
        await perform(ctx, order, "Ship")
    except TerminalError:
        for compensate in reversed(compensations):
            await compensate()
        raise
    return f"{type(receipt).__name__} over {receipt.amount}"


model_result = restate.Service("ModelResult")


@model_result.handler("run")
async def run_model_result(ctx: restate.Context, order: Order) -> str:
    """The same with a pydantic model."""
    compensations: Compensations = []
    try:
        compensations.append(undoing(ctx, order, "Pack"))
        label = await ctx.run_typed("Pack", shop.print_label, order_id=order.id)
        compensations.append(undoing(ctx, order, "Ship"))
        await perform(ctx, order, "Ship")
    except TerminalError:
        for compensate in reversed(compensations):
            await compensate()
        raise
    return f"{type(label).__name__} of {label.weight}"


unserialisable = restate.Service("Unserialisable")


@unserialisable.handler("run")
async def run_unserialisable(ctx: restate.Context, order: Order) -> str:
    """A step returns what its client library gave it."""
    compensations: Compensations = []
    try:
        compensations.append(undoing(ctx, order, "Reserve"))
        await perform(ctx, order, "Reserve")
        compensations.append(undoing(ctx, order, "Charge"))
        await ctx.run_typed("Charge", shop.respond, order_id=order.id)
    except TerminalError:
        for compensate in reversed(compensations):
            await compensate()
        raise
    return "sold"


persistent = restate.Service("Persistent")


@persistent.handler("run")
async def run_persistent(ctx: restate.Context, order: Order) -> str:
    """A step is tried twice, and no more."""
    compensations: Compensations = []
    try:
        compensations.append(undoing(ctx, order, "Reserve"))
        await perform(ctx, order, "Reserve")
        compensations.append(undoing(ctx, order, "Charge"))
        twice: RunOptions[str] = RunOptions(max_attempts=2)
        await ctx.run_typed("Charge", partial(shop.do, order.id, "Charge"), twice)
    except TerminalError:
        for compensate in reversed(compensations):
            await compensate()
        raise
    return "sold"


app = restate.app(
    [
        checkout,
        wrapped,
        grouped,
        out_of_stock,
        out_of_stock_in_step,
        calling,
        dataclass_result,
        model_result,
        unserialisable,
        persistent,
        warehouse,
    ]
)
