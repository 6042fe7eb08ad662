"""What the code of steps and compensations gets in hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias

from restate.context import Context
from typing_extensions import TypeVar

from resaga.observe import Outcome

__all__ = [
    "AnyContext",
    "CompensationContext",
    "DurableCompensationContext",
    "DurableStepContext",
    "StepContext",
    "leave",
]

S_co = TypeVar("S_co", covariant=True, default=object)
In_co = TypeVar("In_co", covariant=True, default=object)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext(Generic[S_co]):
    """What an action gets. It has no Restate context: an action cannot use it (R14).

    Attributes:
        name: The step's name.
        saga_id: The invocation id of the saga.
        idempotency_key: Unique to this call of this step in this saga, and the same on every
            attempt and every machine (R13). Give it to whatever you call, and a repeated
            attempt has its effect once.
        services: The saga's services.
        over: Whether the function that was given it has ended. It is that function's alone: what
            goes by it, as the SQL barrier does, refuses it from then on.
    """

    name: str
    saga_id: str
    idempotency_key: str
    services: S_co
    over: bool = field(default=False, init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationContext(Generic[S_co, In_co]):
    """What a compensation gets beside its data.

    Attributes:
        name: The step's name.
        saga_id: The invocation id of the saga.
        idempotency_key: Unique to this compensation, and different from the step's own (R13).
        forward_idempotency_key: The key that the step's action had, as kept with its result.
        services: The saga's services.
        input: The input that the step was called with.
        has_data: Whether the step left data; if not, the compensation was given the input (R12).
        outcome: How the step ended.
        over: Whether the function that was given it has ended, as in `StepContext`.
    """

    name: str
    saga_id: str
    idempotency_key: str
    forward_idempotency_key: str
    services: S_co
    input: In_co
    has_data: bool
    outcome: Outcome
    over: bool = field(default=False, init=False, repr=False, compare=False)

    @property
    def failed(self) -> bool:
        """Whether the step ended in any other way than ``completed``."""
        return self.outcome != "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableStepContext(StepContext[S_co]):
    """What a durable step gets: the same, and the Restate context.

    Attributes:
        ctx: The Restate context, for calls, sleeps, promises and the rest.
    """

    ctx: Context


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableCompensationContext(CompensationContext[S_co, In_co]):
    """What a durable compensation gets: the same, and the Restate context.

    Attributes:
        ctx: The Restate context. A cancel of the saga is not seen through it, and the calls
            made through it are not cancelled with the saga (R8).
    """

    ctx: Context


AnyContext: TypeAlias = StepContext[Any] | CompensationContext[Any, Any]
"""A context of either kind; those of durable code are among them."""


def leave(context: AnyContext) -> None:
    """Note that the function which was given the context has ended, and all it began with it.

    One that users make for a test, by hand, is never left.
    """
    object.__setattr__(context, "over", True)
