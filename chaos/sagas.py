"""The sagas under test: they carry out a plan with resaga's steps, and fail as it says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Never

import msgspec
import restate
from restate import InvocationRetryPolicy, RunOptions, TerminalError
from restate.context import Context

from chaos.bank import Bank, Effect, Pause
from chaos.plan import Branches, Call, Failing, Line, Move, Part, Pivot, Plan, Savepoint
from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    Interruption,
    Retry,
    RollbackIncomplete,
    Saga,
    SagaObserver,
    SagaStep,
    StepContext,
    StepEvent,
    StepResponse,
    create_saga_step,
    create_saga_step_strict,
    create_saga_workflow,
)

__all__ = ["DEADLINE", "IN_TIME", "TRANSFER", "sagas_of"]

TRANSFER = "Transfer"
IN_TIME = "TransferInTime"
DEADLINE = timedelta(milliseconds=900)

SOON = Retry(initial_interval=timedelta(milliseconds=20), max_interval=timedelta(seconds=1))
THREE_TIMES = Retry(max_attempts=3, initial_interval=timedelta(milliseconds=20))
TIMEOUT = timedelta(seconds=2)
POLICY = InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=50), max_interval=timedelta(seconds=1)
)
GAVE_UP = 410


class Refused(Exception):
    """What the workflows' ``as_terminal_error`` maps."""


class Declined(Exception):
    """What wraps a terminal error."""


class Order(msgspec.Struct, frozen=True, tag="order"):
    """A step's input."""

    saga: str
    move: Move


class Done(msgspec.Struct, frozen=True, tag="done"):
    """A step's output: what is needed to reverse it."""

    key: str
    move: Move


class Errand(msgspec.Struct, frozen=True, tag="errand"):
    """What another saga is called with."""

    saga: str
    body: Line


class Errands(msgspec.Struct, frozen=True, tag="errands"):
    """What another saga has done, and what the one that reverses it is called with."""

    saga: str
    done: list[Done]


class Names(SagaObserver):
    """Writes down which strict steps ended without a result: nothing undoes those (R7)."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    def on_step_failed(self, event: StepEvent) -> None:
        """Called in the event loop; what it writes is there before the saga goes on."""
        strictness, _, path = event.step.split(" ")
        if event.outcome == "unknown" and strictness == "strict":
            self._bank.note_unknown(event.saga_id, path)


def sagas_of(bank: Bank) -> list[restate.Service]:
    """The definitions to serve, over one bank."""
    return _Sagas(bank).definitions()


class _Sagas:
    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._hiccups: Counter[str] = Counter()
        self._steps: dict[str, SagaStep[Order, Done]] = {}
        self._calls: dict[str, SagaStep[Errand, Errands]] = {}
        self._reversals: dict[str, SagaStep[Errands, None]] = {}
        observers = [Names(bank)]
        self._errand = create_saga_workflow(
            "Errand",
            self._run_errand,
            retry_policy=POLICY,
            as_terminal_error=refused,
            observers=observers,
        )
        self._reversal = create_saga_workflow("Reversal", self._reverse, retry_policy=POLICY)
        self._transfers = [
            create_saga_workflow(
                name,
                self._transfer,
                retry_policy=POLICY,
                as_terminal_error=refused,
                observers=observers,
                deadline=deadline,
            )
            for name, deadline in ((TRANSFER, None), (IN_TIME, DEADLINE))
        ]

    def definitions(self) -> list[restate.Service]:
        return [*self._transfers, self._errand, self._reversal]

    # The bodies.

    async def _transfer(self, saga: Saga, plan: Plan) -> int:
        done = await self._line(saga, plan.saga, plan.body)
        if plan.gives_up:
            raise TerminalError("the body gives up", GAVE_UP)
        return len(done)

    async def _run_errand(self, saga: Saga, errand: Errand) -> Errands:
        return Errands(errand.saga, await self._line(saga, errand.saga, errand.body))

    async def _reverse(self, saga: Saga, errands: Errands) -> Errands:
        for done in reversed(errands.done):
            await self._reversing(done.move.path)(saga, Errands(errands.saga, [done]))
        return errands

    async def _line(self, saga: Saga, name: str, line: Line) -> list[Done]:
        return [done for part in line.parts for done in await self._part(saga, name, part)]

    async def _part(self, saga: Saga, name: str, part: Part) -> list[Done]:
        match part:
            case Move():
                return [await self._step(part)(saga, Order(name, part))]
            case Line():
                return await self._line(saga, name, part)
            case Branches(arms=arms):
                lines = await saga.gather(*[self._line(saga, name, arm) for arm in arms])
                return [done for line in lines for done in line]
            case Savepoint():
                return await self._savepoint(saga, name, part)
            case Call(path=path, body=body):
                return (await self._calling(path)(saga, Errand(name, body))).done
            case Pivot():
                saga.pivot()
                return []

    async def _savepoint(self, saga: Saga, name: str, part: Savepoint) -> list[Done]:
        try:
            async with saga.savepoint():
                done = await self._line(saga, name, part.block)
                if part.gives_up:
                    raise TerminalError("the block gives up", GAVE_UP)
                return done
        except TerminalError as error:
            if isinstance(error, (Interruption, RollbackIncomplete)):
                raise
        return await self._line(saga, name, part.instead)

    # The steps.

    def _step(self, move: Move) -> SagaStep[Order, Done]:
        name = f"{'strict' if move.strict else 'hybrid'} {move.kind} {move.path}"
        # With what else decides how it is made: its name may be made otherwise in another plan.
        key = f"{name} {move.fails == 'exhausted'}"
        step = self._steps.get(key)
        if step is None:
            step = self._steps[key] = self._make(name, move)
        return step

    def _calling(self, path: str) -> SagaStep[Errand, Errands]:
        step = self._calls.get(path)
        if step is None:
            name = f"hybrid call {path}"
            step = create_saga_step(name, self._call, self._call_back, durable=True)
            self._calls[path] = step
        return step

    def _reversing(self, path: str) -> SagaStep[Errands, None]:
        step = self._reversals.get(path)
        if step is None:
            step = create_saga_step(f"hybrid reversal {path}", self._undo_done)
            self._reversals[path] = step
        return step

    def _make(self, name: str, move: Move) -> SagaStep[Order, Done]:
        if move.kind == "durable":
            run, undo = self._do_durable, self._undo_durable
            if move.strict:
                return create_saga_step_strict(name, run, undo, durable=True)
            return create_saga_step(name, run, undo, durable=True)
        retry = THREE_TIMES if move.fails == "exhausted" else None
        if move.kind == "threaded":
            work, back = self._do_in_thread, self._undo_in_thread
            if move.strict:
                return create_saga_step_strict(name, work, back, compensation_retry=SOON)
            return create_saga_step(name, work, back, retry=retry, compensation_retry=SOON)
        if move.strict:
            return create_saga_step_strict(name, self._do, self._undo, timeout=TIMEOUT)
        return create_saga_step(name, self._do, self._undo, retry=retry, timeout=TIMEOUT)

    async def _do(self, step: StepContext, order: Order) -> StepResponse[Done]:
        move = order.move
        if self._hiccup(step.idempotency_key, move.hiccups):
            if move.hiccups > 1:
                await asyncio.sleep(TIMEOUT.total_seconds() * 2)
            raise ConnectionError("a hiccup")
        if move.late or move.fails is None:
            await self._bank.apply(step, _effect(step, order), _pause(move))
        return _end(step, order)

    def _do_in_thread(self, step: StepContext, order: Order) -> StepResponse[Done]:
        move = order.move
        if self._hiccup(step.idempotency_key, move.hiccups):
            raise ConnectionError("a hiccup")
        if move.late or move.fails is None:
            self._bank.apply_in_thread(step, _effect(step, order), _pause(move))
        return _end(step, order)

    async def _do_durable(self, step: DurableStepContext, order: Order) -> StepResponse[Done]:
        move = order.move
        await step.ctx.sleep(timedelta(milliseconds=move.slow))

        async def act() -> None:
            if self._hiccup(step.idempotency_key, move.hiccups):
                raise ConnectionError("a hiccup")
            if move.late or move.fails is None:
                await self._bank.apply(step, _effect(step, order), Pause(after=move.linger))
            if move.fails == "exhausted":
                raise _failure("exhausted")

        attempts = 3 + move.hiccups if move.fails == "exhausted" else None
        await _run(step.ctx, f"act {move.path}", act, attempts=attempts)
        return _end(step, order)

    async def _undo(self, step: CompensationContext[object, Order], data: Done | Order) -> None:
        move = step.input.move
        self._check_undo(step, data)
        await self._bank.apply(step, _undoing(step, step.input), Pause(before=move.undo_slow))

    def _undo_in_thread(self, step: CompensationContext[object, Order], data: Done | Order) -> None:
        move = step.input.move
        self._check_undo(step, data)
        self._bank.apply_in_thread(step, _undoing(step, step.input), Pause(before=move.undo_slow))

    async def _undo_durable(
        self, step: DurableCompensationContext[object, Order], data: Done | Order
    ) -> None:
        move = step.input.move
        await step.ctx.sleep(timedelta(milliseconds=move.undo_slow))

        async def act() -> None:
            self._check_undo(step, data)
            await self._bank.apply(step, _undoing(step, step.input), Pause())

        await _run(step.ctx, f"undo {move.path}", act)

    async def _undo_done(self, step: StepContext, errands: Errands) -> None:
        """An action, too, though what it does is to reverse what another saga has done."""
        (done,) = errands.done
        effect = Effect(
            key=f"{done.key}/reversed",
            undoes=done.key,
            saga=errands.saga,
            step=done.move.path,
            invocation=step.saga_id,
            account=done.move.account,
            amount=done.move.amount,
        )
        await self._bank.apply(step, effect, Pause(before=done.move.undo_slow))

    async def _call(self, step: DurableStepContext, errand: Errand) -> Errands:
        return await step.ctx.service_call(self._errand.run, errand)

    async def _call_back(
        self, step: DurableCompensationContext[object, Errand], data: Errands | Errand
    ) -> None:
        # If the other saga failed, it has rolled back itself.
        if isinstance(data, Errands):
            await step.ctx.service_call(self._reversal.run, data)

    def _hiccup(self, key: str, times: int) -> bool:
        """Whether it is one of the first times in this process."""
        self._hiccups[key] += 1
        return self._hiccups[key] <= times

    def _check_undo(self, step: CompensationContext[object, Order], data: Done | Order) -> None:
        move = step.input.move
        told = isinstance(data, Done)
        if isinstance(data, Done) and data.key != step.forward_idempotency_key:
            raise TerminalError("the compensation's forward key is not the action's (R13)")
        if told != step.has_data or (step.outcome == "completed" and not told):
            raise TerminalError(f"{step.outcome}, but has_data is {step.has_data} (R12)")
        if self._hiccup(step.idempotency_key, move.undo_hiccups):
            raise ConnectionError("a hiccup")
        if move.undo_fails:
            raise TerminalError("this cannot be undone", 500)


def refused(error: Exception) -> TerminalError | None:
    """What `Refused` means to the workflows."""
    return TerminalError("refused", 422) if isinstance(error, Refused) else None


async def _run(
    ctx: Context,
    name: str,
    act: Callable[[], Coroutine[object, Never, None]],
    *,
    attempts: int | None = None,
) -> None:
    options: RunOptions[None] = RunOptions(
        max_attempts=attempts,
        initial_retry_interval=timedelta(milliseconds=20),
        max_retry_interval=timedelta(seconds=1),
    )
    await ctx.run_typed(name, act, options)


def _effect(step: StepContext, order: Order) -> Effect:
    return Effect(
        key=step.idempotency_key,
        saga=order.saga,
        step=order.move.path,
        invocation=step.saga_id,
        account=order.move.account,
        amount=order.move.amount,
    )


def _undoing(step: CompensationContext[object, Order], order: Order) -> Effect:
    return Effect(
        key=step.idempotency_key,
        undoes=step.forward_idempotency_key,
        saga=order.saga,
        step=order.move.path,
        invocation=step.saga_id,
        account=order.move.account,
        amount=order.move.amount,
    )


def _pause(move: Move) -> Pause:
    return Pause(before=move.slow, after=move.linger)


def _end(step: StepContext, order: Order) -> StepResponse[Done]:
    """How the step ends, as its plan says."""
    move = order.move
    done = Done(step.idempotency_key, move)
    match move.fails:
        case None:
            return StepResponse(done)
        case "permanent" if move.late:
            return StepResponse.permanent_failure("failed for good", done, status_code=409)
        case "permanent":
            return StepResponse.permanent_failure("failed for good", status_code=409)
        case way:
            raise _failure(way)


def _failure(way: Failing) -> Exception:
    match way:
        case "wrapped":
            error = Declined()
            error.__cause__ = TerminalError("declined", 402)
            return error
        case "group":
            return ExceptionGroup("two", [TerminalError("one", 409), TerminalError("two", 404)])
        case "mapped":
            return Refused()
        case "exhausted":
            return ConnectionError("it never works")
        case "terminal" | "permanent":
            return TerminalError("no such account", 404)
