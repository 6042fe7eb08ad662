"""Steps made of functions, without decorators: `create_saga_step`, `create_saga_step_strict`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Literal, TypedDict, Unpack, cast, overload

from typing_extensions import TypeVar

from resaga.classify import ErrorMapper
from resaga.decorators import (
    Code,
    DurableRun,
    DurableRunAlone,
    DurableUndo,
    MaybeAwaitable,
    Run,
    RunAlone,
    Undo,
    saga_step,
    saga_step_strict,
)
from resaga.policy import Retry
from resaga.response import StepResponse
from resaga.step import DurableSagaStep, SagaStep

__all__ = [
    "DurableOptions",
    "PlainOptions",
    "create_saga_step",
    "create_saga_step_strict",
]

S = TypeVar("S")
In = TypeVar("In")
Out = TypeVar("Out")
Data = TypeVar("Data")


class PlainOptions(TypedDict, total=False):
    """The options of a plain step, see `saga_step`."""

    durable: Literal[False]
    retry: Retry | None
    compensation_retry: Retry | None
    timeout: timedelta | None
    as_terminal_error: ErrorMapper | None


class DurableOptions(TypedDict, total=False):
    """The options of a durable step beside ``durable=True``, see `saga_step`."""

    as_terminal_error: ErrorMapper | None


@overload
def create_saga_step(
    name: str,
    run: Run[S, In, MaybeAwaitable[None]],
    compensate: Undo[S, In, In] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[In, None, In, S]: ...
@overload
def create_saga_step(
    name: str,
    run: Run[S, In, MaybeAwaitable[StepResponse[Out, Data]]],
    compensate: Undo[S, In, Data | In] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[In, Out, Data | In, S]: ...
@overload
def create_saga_step(
    name: str,
    run: Run[S, In, Awaitable[Out]],
    compensate: Undo[S, In, Out | In] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[In, Out, Out | In, S]: ...
@overload
def create_saga_step(
    name: str,
    run: Run[S, In, Out],
    compensate: Undo[S, In, Out | In] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[In, Out, Out | In, S]: ...
# Again for input and output, or data, of one type: pyright solves no union of equal ones.
@overload
def create_saga_step(
    name: str,
    run: Run[S, In, MaybeAwaitable[StepResponse[Out, In]]],
    compensate: Undo[S, In, In],
    **options: Unpack[PlainOptions],
) -> SagaStep[In, Out, In, S]: ...
@overload
def create_saga_step(
    name: str,
    run: Run[S, In, Awaitable[In]],
    compensate: Undo[S, In, In],
    **options: Unpack[PlainOptions],
) -> SagaStep[In, In, In, S]: ...
@overload
def create_saga_step(
    name: str,
    run: Run[S, In, In],
    compensate: Undo[S, In, In],
    **options: Unpack[PlainOptions],
) -> SagaStep[In, In, In, S]: ...
@overload
def create_saga_step(
    name: str,
    run: RunAlone[S, MaybeAwaitable[None]],
    compensate: Undo[S, None, None] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[None, None, None, S]: ...
@overload
def create_saga_step(
    name: str,
    run: RunAlone[S, MaybeAwaitable[StepResponse[Out, Data]]],
    compensate: Undo[S, None, Data | None] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[None, Out, Data | None, S]: ...
@overload
def create_saga_step(
    name: str,
    run: RunAlone[S, Awaitable[Out]],
    compensate: Undo[S, None, Out | None] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[None, Out, Out | None, S]: ...
@overload
def create_saga_step(
    name: str,
    run: RunAlone[S, Out],
    compensate: Undo[S, None, Out | None] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[None, Out, Out | None, S]: ...
@overload
def create_saga_step(
    name: str,
    run: DurableRun[S, In, Code[None]],
    compensate: DurableUndo[S, In, In] | None = None,
    *,
    durable: Literal[True],
    **options: Unpack[DurableOptions],
) -> DurableSagaStep[In, None, In, S]: ...
@overload
def create_saga_step(
    name: str,
    run: DurableRun[S, In, Code[StepResponse[Out, Data]]],
    compensate: DurableUndo[S, In, Data | In] | None = None,
    *,
    durable: Literal[True],
    **options: Unpack[DurableOptions],
) -> DurableSagaStep[In, Out, Data | In, S]: ...
@overload
def create_saga_step(
    name: str,
    run: DurableRun[S, In, Code[Out]],
    compensate: DurableUndo[S, In, Out | In] | None = None,
    *,
    durable: Literal[True],
    **options: Unpack[DurableOptions],
) -> DurableSagaStep[In, Out, Out | In, S]: ...
@overload
def create_saga_step(
    name: str,
    run: DurableRun[S, In, Code[StepResponse[Out, In]]],
    compensate: DurableUndo[S, In, In],
    *,
    durable: Literal[True],
    **options: Unpack[DurableOptions],
) -> DurableSagaStep[In, Out, In, S]: ...
@overload
def create_saga_step(
    name: str,
    run: DurableRun[S, In, Code[In]],
    compensate: DurableUndo[S, In, In],
    *,
    durable: Literal[True],
    **options: Unpack[DurableOptions],
) -> DurableSagaStep[In, In, In, S]: ...
@overload
def create_saga_step(
    name: str,
    run: DurableRunAlone[S, Code[None]],
    compensate: DurableUndo[S, None, None] | None = None,
    *,
    durable: Literal[True],
    **options: Unpack[DurableOptions],
) -> DurableSagaStep[None, None, None, S]: ...
@overload
def create_saga_step(
    name: str,
    run: DurableRunAlone[S, Code[StepResponse[Out, Data]]],
    compensate: DurableUndo[S, None, Data | None] | None = None,
    *,
    durable: Literal[True],
    **options: Unpack[DurableOptions],
) -> DurableSagaStep[None, Out, Data | None, S]: ...
@overload
def create_saga_step(
    name: str,
    run: DurableRunAlone[S, Code[Out]],
    compensate: DurableUndo[S, None, Out | None] | None = None,
    *,
    durable: Literal[True],
    **options: Unpack[DurableOptions],
) -> DurableSagaStep[None, Out, Out | None, S]: ...
def create_saga_step(
    name: str,
    run: Callable[..., Any],
    compensate: Callable[..., object] | None = None,
    **options: Any,
) -> SagaStep[Any, Any, Any, Any]:
    """Make a hybrid step of functions, without decorators; see `saga_step`.

    Args:
        name: Its name.
        run: Its action; the body, if it is durable.
        compensate: What undoes it; it can be set later with `SagaStep.compensate`, too.
        **options: The keywords of `saga_step`.

    Returns:
        The step.

    Raises:
        MisuseError: The name, the options or a function cannot work (R21).
        UnsupportedTypeError: Values of the annotated types would not come back as they are (R16).

    Example::

        reserve_inventory = create_saga_step("ReserveInventory", reserve, release)
    """
    step = cast("SagaStep[Any, Any, Any, Any]", saga_step(name, **options)(run))
    if compensate is not None:
        step.compensate(compensate)
    return step


@overload
def create_saga_step_strict(
    name: str,
    run: Run[S, In, MaybeAwaitable[None]],
    compensate: Undo[S, In, In] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[In, None, In, S]: ...
@overload
def create_saga_step_strict(
    name: str,
    run: Run[S, In, MaybeAwaitable[StepResponse[Out, Data]]],
    compensate: Undo[S, In, Data] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[In, Out, Data, S]: ...
@overload
def create_saga_step_strict(
    name: str,
    run: Run[S, In, Awaitable[Out]],
    compensate: Undo[S, In, Out] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[In, Out, Out, S]: ...
@overload
def create_saga_step_strict(
    name: str,
    run: Run[S, In, Out],
    compensate: Undo[S, In, Out] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[In, Out, Out, S]: ...
@overload
def create_saga_step_strict(
    name: str,
    run: RunAlone[S, MaybeAwaitable[None]],
    compensate: Undo[S, None, None] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[None, None, None, S]: ...
@overload
def create_saga_step_strict(
    name: str,
    run: RunAlone[S, MaybeAwaitable[StepResponse[Out, Data]]],
    compensate: Undo[S, None, Data] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[None, Out, Data, S]: ...
@overload
def create_saga_step_strict(
    name: str,
    run: RunAlone[S, Awaitable[Out]],
    compensate: Undo[S, None, Out] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[None, Out, Out, S]: ...
@overload
def create_saga_step_strict(
    name: str,
    run: RunAlone[S, Out],
    compensate: Undo[S, None, Out] | None = None,
    **options: Unpack[PlainOptions],
) -> SagaStep[None, Out, Out, S]: ...
@overload
def create_saga_step_strict(
    name: str,
    run: DurableRun[S, In, Code[None]],
    compensate: DurableUndo[S, In, In] | None = None,
    *,
    durable: Literal[True],
    **options: Unpack[DurableOptions],
) -> DurableSagaStep[In, None, In, S]: ...
@overload
def create_saga_step_strict(
    name: str,
    run: DurableRun[S, In, Code[StepResponse[Out, Data]]],
    compensate: DurableUndo[S, In, Data] | None = None,
    *,
    durable: Literal[True],
    **options: Unpack[DurableOptions],
) -> DurableSagaStep[In, Out, Data, S]: ...
@overload
def create_saga_step_strict(
    name: str,
    run: DurableRun[S, In, Code[Out]],
    compensate: DurableUndo[S, In, Out] | None = None,
    *,
    durable: Literal[True],
    **options: Unpack[DurableOptions],
) -> DurableSagaStep[In, Out, Out, S]: ...
@overload
def create_saga_step_strict(
    name: str,
    run: DurableRunAlone[S, Code[None]],
    compensate: DurableUndo[S, None, None] | None = None,
    *,
    durable: Literal[True],
    **options: Unpack[DurableOptions],
) -> DurableSagaStep[None, None, None, S]: ...
@overload
def create_saga_step_strict(
    name: str,
    run: DurableRunAlone[S, Code[StepResponse[Out, Data]]],
    compensate: DurableUndo[S, None, Data] | None = None,
    *,
    durable: Literal[True],
    **options: Unpack[DurableOptions],
) -> DurableSagaStep[None, Out, Data, S]: ...
@overload
def create_saga_step_strict(
    name: str,
    run: DurableRunAlone[S, Code[Out]],
    compensate: DurableUndo[S, None, Out] | None = None,
    *,
    durable: Literal[True],
    **options: Unpack[DurableOptions],
) -> DurableSagaStep[None, Out, Out, S]: ...
def create_saga_step_strict(
    name: str,
    run: Callable[..., Any],
    compensate: Callable[..., object] | None = None,
    **options: Any,
) -> SagaStep[Any, Any, Any, Any]:
    """Make a strict step of functions, without decorators; see `saga_step_strict`.

    Args:
        name: Its name.
        run: Its action; the body, if it is durable.
        compensate: What undoes it; it can be set later with `SagaStep.compensate`, too.
        **options: The keywords of `saga_step_strict`.

    Returns:
        The step.

    Raises:
        MisuseError: The name, the options or a function cannot work (R21).
        UnsupportedTypeError: Values of the annotated types would not come back as they are (R16).

    Example::

        charge_payment = create_saga_step_strict("ChargePayment", charge, refund)
    """
    step = cast("SagaStep[Any, Any, Any, Any]", saga_step_strict(name, **options)(run))
    if compensate is not None:
        step.compensate(compensate)
    return step
