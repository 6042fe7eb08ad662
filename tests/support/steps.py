"""Steps made to measure: what they do, how they fail, where they are held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    ErrorMapper,
    Retry,
    SagaStep,
    StepContext,
    create_saga_step,
    create_saga_step_strict,
)
from tests.support.gates import Gate
from tests.support.ledger import Ledger

Fails = BaseException | Callable[[int], BaseException | None] | None
"""An exception raised every time, or a function of the attempt's number, counted from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a step of a test does.

    The action waits at ``gate``, writes ``do NAME`` with the input as payload, raises what
    ``fails`` says, and returns ``returns(input)``, or the input. The compensation waits at
    ``undo_gate``, writes ``undo NAME`` with ``{"data", "has_data", "outcome", "input",
    "forward_key"}`` as payload, and raises what ``undo_fails`` says.

    Attributes:
        strict: A strict step instead of a hybrid one.
        durable: A durable step; its effects are runs inside its body.
        threaded: Plain functions instead of ``async def``.
        undo: Whether there is a compensation.
    """

    strict: bool = False
    durable: bool = False
    threaded: bool = False
    undo: bool = True
    gate: Gate | None = None
    undo_gate: Gate | None = None
    fails: Fails = None
    undo_fails: Fails = None
    returns: Callable[[Any], Any] | None = None
    retry: Retry | None = None
    compensation_retry: Retry | None = None
    as_terminal_error: ErrorMapper | None = None


class Options(TypedDict, total=False):
    """The fields of `Script`, as keywords."""

    strict: bool
    durable: bool
    threaded: bool
    undo: bool
    gate: Gate | None
    undo_gate: Gate | None
    fails: Fails
    undo_fails: Fails
    returns: Callable[[Any], Any] | None
    retry: Retry | None
    compensation_retry: Retry | None
    as_terminal_error: ErrorMapper | None


def make_step(ledger: Ledger, name: str, options: Options) -> SagaStep[Any, Any, Any, Any]:
    """Make a step by its script."""
    script = Script(**options)
    make = cast(
        Callable[..., SagaStep[Any, Any, Any, Any]],
        create_saga_step_strict if script.strict else create_saga_step,
    )
    if script.durable:
        run, undo = _durable(ledger, script)
    elif script.threaded:
        run, undo = _threaded(ledger, script)
    else:
        run, undo = _plain(ledger, script)
    return make(
        name,
        run,
        undo if script.undo else None,
        durable=script.durable,
        retry=script.retry,
        compensation_retry=script.compensation_retry,
        as_terminal_error=script.as_terminal_error,
    )


class _Effects:
    """What the three kinds of steps have in common."""

    def __init__(self, ledger: Ledger, script: Script) -> None:
        self._ledger = ledger
        self._script = script

    def do(self, step: StepContext[Any], value: Any) -> None:
        self._ledger.do(step, value)
        self._fail(self._script.fails, f"do {step.name}", step.saga_id)

    def undo(self, step: CompensationContext[Any, Any], data: Any) -> None:
        payload = {
            "data": data,
            "has_data": step.has_data,
            "outcome": step.outcome,
            "input": step.input,
            "forward_key": step.forward_idempotency_key,
        }
        self._ledger.undo(step, payload)
        self._fail(self._script.undo_fails, f"undo {step.name}", step.saga_id)

    def output(self, value: Any) -> Any:
        return value if self._script.returns is None else self._script.returns(value)

    def _fail(self, fails: Fails, effect: str, saga: str) -> None:
        if callable(fails):
            fails = fails(self._ledger.count(effect, saga))
        if fails is not None:
            raise fails


def _plain(ledger: Ledger, script: Script) -> tuple[Callable[..., Any], Callable[..., Any]]:
    effects = _Effects(ledger, script)

    async def run(step: StepContext[Any], value: Any) -> Any:
        if script.gate is not None:
            await script.gate.hold()
        effects.do(step, value)
        return effects.output(value)

    async def undo(step: CompensationContext[Any, Any], data: Any) -> None:
        if script.undo_gate is not None:
            await script.undo_gate.hold()
        effects.undo(step, data)

    return run, undo


def _threaded(ledger: Ledger, script: Script) -> tuple[Callable[..., Any], Callable[..., Any]]:
    effects = _Effects(ledger, script)

    def run(step: StepContext[Any], value: Any) -> Any:
        if script.gate is not None:
            script.gate.hold_thread()
        effects.do(step, value)
        return effects.output(value)

    def undo(step: CompensationContext[Any, Any], data: Any) -> None:
        if script.undo_gate is not None:
            script.undo_gate.hold_thread()
        effects.undo(step, data)

    return run, undo


def _durable(ledger: Ledger, script: Script) -> tuple[Callable[..., Any], Callable[..., Any]]:
    effects = _Effects(ledger, script)

    async def run(step: DurableStepContext[Any], value: Any) -> Any:
        async def work() -> None:
            if script.gate is not None:
                await script.gate.hold()
            effects.do(step, value)

        await step.ctx.run_typed("work", work)
        return effects.output(value)

    async def undo(step: DurableCompensationContext[Any, Any], data: Any) -> None:
        async def work() -> None:
            if script.undo_gate is not None:
                await script.undo_gate.hold()
            effects.undo(step, data)

        await step.ctx.run_typed("undo work", work)

    return run, undo
