"""Faults at named points of a saga: what goes wrong there, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from restate import TerminalError

from resaga import SagaStep
from resaga.testing.errors import SagaTestError

__all__ = [
    "ANY_STEP",
    "Fault",
    "FaultKind",
    "When",
    "cancel",
    "error",
    "fail",
    "hang",
    "lose_worker",
    "permanent_failure",
    "slow",
    "unserialisable",
]

FaultKind: TypeAlias = Literal[
    "fail", "permanent failure", "error", "unserialisable", "slow", "hang", "cancel", "lose worker"
]
When: TypeAlias = Literal["before", "during", "after", "journaled"]
ANY_STEP = "*"
"""Stands for whichever step comes to the point first."""

StepName: TypeAlias = SagaStep[Any, Any, Any, Any] | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong at one point of a saga. Made by `fail`, `error` and the others.

    Attributes:
        kind: What goes wrong.
        step: The name of the step.
        undo: At its compensation, not at its action.
        call: Which call of the step in the saga, the first is 1.
        times: In how many attempts; ``None`` for all of them.
        when: Before, during or after the user's code, or when its result is journaled.
        error: What is raised.
        delay: How long it takes.
    """

    kind: FaultKind
    step: str
    undo: bool = False
    call: int = 1
    times: int | None = 1
    when: When = "before"
    error: Exception | None = None
    delay: timedelta = timedelta()

    def __post_init__(self) -> None:
        if self.call < 1 or (self.times is not None and self.times < 1):
            raise SagaTestError(
                f"{self}: call={self.call}, times={self.times}. Both count from 1; times=None "
                "means every time."
            )

    def __str__(self) -> str:
        what = f"undo {self.step}" if self.undo else self.step
        nth = "" if self.call == 1 else f" (call {self.call})"
        often = {1: "", None: " every time"}.get(self.times, f" {self.times} times")
        return f"{self.kind} {self.when} {what}{nth}{often}"


def _name(step: StepName) -> str:
    return step if isinstance(step, str) else step.name


def fail(
    step: StepName,
    error: TerminalError | None = None,
    *,
    undo: bool = False,
    call: int = 1,
    after_effect: bool = False,
) -> Fault:
    """A step, or its compensation, fails for good: a `TerminalError`.

    Args:
        step: The step, or its name.
        error: What is raised; by default ``TerminalError("injected failure", 418)``.
        undo: Let the compensation fail, not the action.
        call: Which call of the step in the saga.
        after_effect: Run the user's code first, so that its effect is there.

    Example::

        run = await saga_client.run(checkout, order, faults=[fail(charge_payment)])
        assert run.trace.compensated == ("ReserveStock",)
    """
    return Fault(
        kind="fail",
        step=_name(step),
        undo=undo,
        call=call,
        times=None,
        when="after" if after_effect else "before",
        error=error or TerminalError("injected failure", 418),
    )


def permanent_failure(
    step: StepName,
    message: str = "injected failure",
    *,
    status_code: int = 418,
    call: int = 1,
    after_effect: bool = False,
) -> Fault:
    """A step returns `StepResponse.permanent_failure`, without compensation data.

    Args:
        step: The step, or its name.
        message: What it says.
        status_code: Its status code.
        call: Which call of the step in the saga.
        after_effect: Run the user's code first, so that its effect is there.
    """
    return Fault(
        kind="permanent failure",
        step=_name(step),
        call=call,
        times=None,
        when="after" if after_effect else "before",
        error=TerminalError(message, status_code),
    )


def error(
    step: StepName,
    error: Exception | None = None,
    *,
    undo: bool = False,
    call: int = 1,
    times: int | None = 1,
    after_effect: bool = False,
) -> Fault:
    """A step, or its compensation, raises an ordinary error ``times`` times, then works.

    Args:
        step: The step, or its name.
        error: What is raised; by default a `ConnectionError`.
        undo: At the compensation, not at the action.
        call: Which call of the step in the saga.
        times: In how many attempts. ``None``: in all, so a bounded retry is used up.
        after_effect: Run the user's code first, so that its effect is there each time.
    """
    return Fault(
        kind="error",
        step=_name(step),
        undo=undo,
        call=call,
        times=times,
        when="after" if after_effect else "before",
        error=error or ConnectionError("injected error"),
    )


def unserialisable(step: StepName, *, call: int = 1) -> Fault:
    """A step has its effect, and returns what no journal can carry (R15)."""
    return Fault(kind="unserialisable", step=_name(step), call=call, times=None, when="after")


def slow(step: StepName, delay: timedelta, *, undo: bool = False, call: int = 1) -> Fault:
    """A step, or its compensation, takes that much longer, each time."""
    return Fault(kind="slow", step=_name(step), undo=undo, call=call, times=None, delay=delay)


def hang(step: StepName, *, undo: bool = False, call: int = 1, times: int | None = 1) -> Fault:
    """An attempt of a step, or of its compensation, never ends by itself.

    A step's ``timeout`` ends it, and the next attempt is as usual. Without one, the run ends at
    its time limit.
    """
    return Fault(kind="hang", step=_name(step), undo=undo, call=call, times=times)


def cancel(
    step: StepName,
    *,
    when: Literal["before", "during", "after"] = "during",
    undo: bool = False,
    call: int = 1,
) -> Fault:
    """The saga is cancelled through Restate when it comes to a point.

    Args:
        step: The step, or its name.
        when: Before the step is called, while its action is in flight and has had no effect yet,
            or when its result is journaled and the next step is not called. A saga that is
            cancelled after its last step is done, and completes.
        undo: At the step's compensation: a cancel during the rollback.
        call: Which call of the step in the saga.
    """
    return Fault(kind="cancel", step=_name(step), undo=undo, call=call, when=when)


def lose_worker(
    step: StepName,
    *,
    when: Literal["before", "after", "journaled"] = "after",
    undo: bool = False,
    call: int = 1,
    times: int = 1,
) -> Fault:
    """The worker is lost: its connection breaks, what it has not told is lost, Restate retries.

    Args:
        step: The step, or its name.
        when: Before the effect of its action, after it and before its result is journaled, or
            when that is journaled.
        undo: At the step's compensation.
        call: Which call of the step in the saga.
        times: In how many attempts, one after the other.
    """
    return Fault(kind="lose worker", step=_name(step), undo=undo, call=call, times=times, when=when)
