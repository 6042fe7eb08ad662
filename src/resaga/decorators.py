"""The decorators `saga_step` and `saga_step_strict`, and which `SagaStep` comes of which function.

Four protocols, one for each pair of hybrid or strict, plain or durable. Their overloads tell
functions apart by what they return, in this order: ``None`` (the step leaves no data), a
`StepResponse`, any other output; and by whether they take an input. An action may be plain or
``async def``; durable code is ``async def``.

What stands after the input, or as keyword after the context, is left to whoever injects it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, Concatenate, Literal, Never, Protocol, TypeAlias, cast, overload

from typing_extensions import TypeVar

from resaga.classify import ErrorMapper
from resaga.contexts import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    StepContext,
)
from resaga.execution import StepOptions
from resaga.policy import Retry
from resaga.response import StepResponse
from resaga.step import DurableSagaStep, SagaStep

__all__ = [
    "Code",
    "DurableRun",
    "DurableRunAlone",
    "DurableStepDecorator",
    "DurableUndo",
    "MaybeAwaitable",
    "Run",
    "RunAlone",
    "StepDecorator",
    "StrictDurableStepDecorator",
    "StrictStepDecorator",
    "Undo",
    "saga_step",
    "saga_step_strict",
]

S = TypeVar("S")
In = TypeVar("In")
Out = TypeVar("Out")
Data = TypeVar("Data")
R = TypeVar("R")

MaybeAwaitable: TypeAlias = Awaitable[R] | R
"""What ``async def`` or plain ``def`` returns. (Around a bare type variable mypy cannot see through
it: the overloads for any output are two.)"""

Code: TypeAlias = Coroutine[object, Never, R]
"""What an ``async def`` returns."""

Run: TypeAlias = Callable[Concatenate[StepContext[S], In, ...], R]
"""An action: the context, the input, and whatever is injected."""

RunAlone: TypeAlias = Callable[Concatenate[StepContext[S], ...], R]
"""An action without input."""

DurableRun: TypeAlias = Callable[Concatenate[DurableStepContext[S], In, ...], R]
"""The body of a durable step."""

DurableRunAlone: TypeAlias = Callable[Concatenate[DurableStepContext[S], ...], R]
"""The body of a durable step without input."""

Undo: TypeAlias = Callable[Concatenate[CompensationContext[S, In], Data, ...], object]
"""A compensation: the context, the data, and whatever is injected."""

DurableUndo: TypeAlias = Callable[
    Concatenate[DurableCompensationContext[S, In], Data, ...], Coroutine[object, Never, object]
]
"""A durable compensation."""


class StepDecorator(Protocol):
    """What `saga_step` returns: takes the action, gives the step."""

    @overload
    def __call__(self, run: Run[S, In, MaybeAwaitable[None]], /) -> SagaStep[In, None, In, S]: ...
    @overload
    def __call__(
        self, run: Run[S, In, MaybeAwaitable[StepResponse[Out, Data]]], /
    ) -> SagaStep[In, Out, Data | In, S]: ...
    @overload
    def __call__(self, run: Run[S, In, Awaitable[Out]], /) -> SagaStep[In, Out, Out | In, S]: ...
    @overload
    def __call__(self, run: Run[S, In, Out], /) -> SagaStep[In, Out, Out | In, S]: ...
    @overload
    def __call__(
        self, run: RunAlone[S, MaybeAwaitable[None]], /
    ) -> SagaStep[None, None, None, S]: ...
    @overload
    def __call__(
        self, run: RunAlone[S, MaybeAwaitable[StepResponse[Out, Data]]], /
    ) -> SagaStep[None, Out, Data | None, S]: ...
    @overload
    def __call__(
        self, run: RunAlone[S, Awaitable[Out]], /
    ) -> SagaStep[None, Out, Out | None, S]: ...
    @overload
    def __call__(self, run: RunAlone[S, Out], /) -> SagaStep[None, Out, Out | None, S]: ...


class StrictStepDecorator(Protocol):
    """What `saga_step_strict` returns: takes the action, gives the step."""

    @overload
    def __call__(self, run: Run[S, In, MaybeAwaitable[None]], /) -> SagaStep[In, None, In, S]: ...
    @overload
    def __call__(
        self, run: Run[S, In, MaybeAwaitable[StepResponse[Out, Data]]], /
    ) -> SagaStep[In, Out, Data, S]: ...
    @overload
    def __call__(self, run: Run[S, In, Awaitable[Out]], /) -> SagaStep[In, Out, Out, S]: ...
    @overload
    def __call__(self, run: Run[S, In, Out], /) -> SagaStep[In, Out, Out, S]: ...
    @overload
    def __call__(
        self, run: RunAlone[S, MaybeAwaitable[None]], /
    ) -> SagaStep[None, None, None, S]: ...
    @overload
    def __call__(
        self, run: RunAlone[S, MaybeAwaitable[StepResponse[Out, Data]]], /
    ) -> SagaStep[None, Out, Data, S]: ...
    @overload
    def __call__(self, run: RunAlone[S, Awaitable[Out]], /) -> SagaStep[None, Out, Out, S]: ...
    @overload
    def __call__(self, run: RunAlone[S, Out], /) -> SagaStep[None, Out, Out, S]: ...


class DurableStepDecorator(Protocol):
    """What `saga_step` returns for ``durable=True``: takes the body, gives the step."""

    @overload
    def __call__(
        self, run: DurableRun[S, In, Code[None]], /
    ) -> DurableSagaStep[In, None, In, S]: ...
    @overload
    def __call__(
        self, run: DurableRun[S, In, Code[StepResponse[Out, Data]]], /
    ) -> DurableSagaStep[In, Out, Data | In, S]: ...
    @overload
    def __call__(
        self, run: DurableRun[S, In, Code[Out]], /
    ) -> DurableSagaStep[In, Out, Out | In, S]: ...
    @overload
    def __call__(
        self, run: DurableRunAlone[S, Code[None]], /
    ) -> DurableSagaStep[None, None, None, S]: ...
    @overload
    def __call__(
        self, run: DurableRunAlone[S, Code[StepResponse[Out, Data]]], /
    ) -> DurableSagaStep[None, Out, Data | None, S]: ...
    @overload
    def __call__(
        self, run: DurableRunAlone[S, Code[Out]], /
    ) -> DurableSagaStep[None, Out, Out | None, S]: ...


class StrictDurableStepDecorator(Protocol):
    """What `saga_step_strict` returns for ``durable=True``: takes the body, gives the step."""

    @overload
    def __call__(
        self, run: DurableRun[S, In, Code[None]], /
    ) -> DurableSagaStep[In, None, In, S]: ...
    @overload
    def __call__(
        self, run: DurableRun[S, In, Code[StepResponse[Out, Data]]], /
    ) -> DurableSagaStep[In, Out, Data, S]: ...
    @overload
    def __call__(
        self, run: DurableRun[S, In, Code[Out]], /
    ) -> DurableSagaStep[In, Out, Out, S]: ...
    @overload
    def __call__(
        self, run: DurableRunAlone[S, Code[None]], /
    ) -> DurableSagaStep[None, None, None, S]: ...
    @overload
    def __call__(
        self, run: DurableRunAlone[S, Code[StepResponse[Out, Data]]], /
    ) -> DurableSagaStep[None, Out, Data, S]: ...
    @overload
    def __call__(
        self, run: DurableRunAlone[S, Code[Out]], /
    ) -> DurableSagaStep[None, Out, Out, S]: ...


@overload
def saga_step(
    name: str,
    *,
    durable: Literal[False] = False,
    retry: Retry | None = None,
    compensation_retry: Retry | None = None,
    timeout: timedelta | None = None,
    as_terminal_error: ErrorMapper | None = None,
) -> StepDecorator: ...
@overload
def saga_step(
    name: str, *, durable: Literal[True], as_terminal_error: ErrorMapper | None = None
) -> DurableStepDecorator: ...
def saga_step(
    name: str,
    *,
    durable: bool = False,
    retry: Retry | None = None,
    compensation_retry: Retry | None = None,
    timeout: timedelta | None = None,
    as_terminal_error: ErrorMapper | None = None,
) -> StepDecorator | DurableStepDecorator:
    """Make a *hybrid* step of a function: what undoes it also runs if it failed part-way.

    Its compensation is registered before the action starts. It gets what the step left as
    compensation data, or the step's input if it left none, so its parameter is annotated as
    ``Data | Input`` (R12).

    The function takes a `StepContext` and at most one input, and returns the output, or a
    `StepResponse`. Its result is journaled: on replay it comes from there, and nothing runs.
    An ordinary error is retried by Restate; a terminal one ends the step, and the saga unless
    its body catches it (R1, R5).

    Args:
        name: Its name, in the journal, in messages and for observers.
        durable: The function and its compensation are durable code, not one action: they may
            use Restate through their context's ``ctx``, are ``async def``, and run again on
            replay (R14). `retry`, ``compensation_retry`` and ``timeout`` do not go with it.
        retry: How an ordinary error of the action is retried; by default Restate's own policy
            holds: until it works, or the invocation is paused for an operator. With a bound, a
            step whose attempts are used up ends as ``unknown``.
        compensation_retry: Likewise for the compensation, which does not inherit ``retry``.
        timeout: Longest time of one attempt of the action, which is ``async def``; then
            `StepTimeout` is raised in it, an ordinary error. By default there is no bound.
        as_terminal_error: Which ordinary errors end the step for good, asked before the
            workflow's own and the registered ones (R3).

    Returns:
        A decorator that gives a `SagaStep`.

    Raises:
        MisuseError: The name, the options or the function cannot work (R21).
        UnsupportedTypeError: Values of the annotated types would not come back as they are (R16).

    Example::

        @saga_step("ReserveInventory")
        async def reserve_inventory(step: StepContext, order: Order) -> StepResponse[Reserved]:
            hold = await inventory.reserve(order.product_id, key=step.idempotency_key)
            return StepResponse(Reserved(hold.id))


        @reserve_inventory.compensate
        async def release_inventory(step: CompensationContext, data: Reserved | Order) -> None:
            match data:
                case Reserved(hold_id):
                    await inventory.release(hold_id)
                case Order():
                    await inventory.release_by_key(step.forward_idempotency_key)
    """
    options = StepOptions(
        strict=False,
        durable=durable,
        retry=retry,
        compensation_retry=compensation_retry,
        timeout=timeout,
        as_terminal_error=as_terminal_error,
    )
    return cast("StepDecorator", _decorator(name, options))


@overload
def saga_step_strict(
    name: str,
    *,
    durable: Literal[False] = False,
    retry: Retry | None = None,
    compensation_retry: Retry | None = None,
    timeout: timedelta | None = None,
    as_terminal_error: ErrorMapper | None = None,
) -> StrictStepDecorator: ...
@overload
def saga_step_strict(
    name: str, *, durable: Literal[True], as_terminal_error: ErrorMapper | None = None
) -> StrictDurableStepDecorator: ...
def saga_step_strict(
    name: str,
    *,
    durable: bool = False,
    retry: Retry | None = None,
    compensation_retry: Retry | None = None,
    timeout: timedelta | None = None,
    as_terminal_error: ErrorMapper | None = None,
) -> StrictStepDecorator | StrictDurableStepDecorator:
    """Make a *strict* step of a function: what undoes it runs only if the step succeeded.

    Its compensation is registered when the step has completed, and gets the step's compensation
    data. Use it where the action has its effect entirely or not at all, and failing tells that
    it had none: a strict step that ends as ``unknown`` is not undone; observers name it (R7).

    All else is as with `saga_step`: the function, the options, what happens on replay, what is
    raised and whether Restate retries it. A `StepResponse.permanent_failure` carries no
    compensation data here, since nobody would get it.

    Args:
        name: Its name, in the journal, in messages and for observers.
        durable: The function and its compensation are durable code (R14).
        retry: How an ordinary error of the action is retried.
        compensation_retry: Likewise for the compensation.
        timeout: Longest time of one attempt of the action.
        as_terminal_error: Which ordinary errors end the step for good (R3).

    Returns:
        A decorator that gives a `SagaStep`.

    Raises:
        MisuseError: The name, the options or the function cannot work (R21).
        UnsupportedTypeError: Values of the annotated types would not come back as they are (R16).

    Example::

        @saga_step_strict("ChargePayment", retry=Retry(max_attempts=5))
        async def charge_payment(step: StepContext, charge: Charge) -> Paid:
            return await payments.charge(charge.amount, key=step.idempotency_key)


        @charge_payment.compensate
        async def refund_payment(step: CompensationContext, paid: Paid) -> None:
            await payments.refund(paid.id, key=step.idempotency_key)
    """
    options = StepOptions(
        strict=True,
        durable=durable,
        retry=retry,
        compensation_retry=compensation_retry,
        timeout=timeout,
        as_terminal_error=as_terminal_error,
    )
    return cast("StrictStepDecorator", _decorator(name, options))


def _decorator(name: str, options: StepOptions) -> Callable[[Callable[..., Any]], object]:
    def decorate(run: Callable[..., Any]) -> object:
        kind: type[SagaStep] = DurableSagaStep if options.durable else SagaStep
        return kind(name, run, options)

    return decorate
