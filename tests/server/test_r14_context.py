"""R14: an action cannot reach the Restate context; a durable step can, and replays."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import restate
from restate import TerminalError
from restate.context import Context
from restate.extensions import current_context

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    MisuseError,
    Saga,
    SagaStep,
    StepContext,
    create_saga_step,
    saga_step,
    saga_workflow,
)
from tests.support import Invocation, Rig

SHORT = timedelta(milliseconds=20)

Misuse = Callable[[Saga, Context], Awaitable[object]]


async def _use_ctx(saga: Saga, _: Context) -> object:
    return saga.ctx


async def _sleep(_: Saga, ctx: Context) -> object:
    await ctx.sleep(SHORT)
    return None


async def _run(_: Saga, ctx: Context) -> object:
    return await ctx.run_typed("inner", _one)


def _one() -> int:
    return 1


async def _send(_: Saga, ctx: Context) -> object:
    return ctx.generic_send("Anything", "run", b"")


async def _awakeable(_: Saga, ctx: Context) -> object:
    return ctx.awakeable(type_hint=str)


async def _time(_: Saga, ctx: Context) -> object:
    return await ctx.time()


async def _cancel(saga: Saga, ctx: Context) -> object:
    ctx.cancel_invocation(saga.id)
    return None


async def _call(_: Saga, ctx: Context) -> object:
    return await ctx.generic_call("Anything", "run", b"")


async def _attach(saga: Saga, ctx: Context) -> object:
    return await ctx.attach_invocation(saga.id)


async def _resolve(_: Saga, ctx: Context) -> object:
    ctx.resolve_awakeable("sign_1", "x")
    return None


async def _current(_: Saga, ctx: Context) -> object:
    current: Any = current_context()
    assert current is ctx
    return await current.time()


async def _in_a_task(_: Saga, ctx: Context) -> object:
    return await asyncio.create_task(_time(_, ctx))


async def _register(saga: Saga, _: Context) -> object:
    saga.add_compensation("X", lambda step, data: None, 1)
    return None


async def _gather(saga: Saga, _: Context) -> object:
    await saga.gather()
    return None


async def _pivot(saga: Saga, _: Context) -> object:
    saga.pivot()
    return None


async def _savepoint(saga: Saga, _: Context) -> object:
    async with saga.savepoint():
        return None


async def _step(saga: Saga, _: Context) -> object:
    async def run(step: StepContext) -> int:
        return 1

    return await create_saga_step("Inner", run)(saga)


@pytest.mark.parametrize(
    "misuse",
    [
        _use_ctx, _sleep, _run, _send, _awakeable, _time, _cancel,
        _call, _attach, _resolve, _current, _in_a_task,
        _register, _gather, _pivot, _savepoint, _step,
    ],
)  # fmt: skip
async def test_r14_an_action_cannot_use_restate(rig: Rig, misuse: Misuse) -> None:
    """It is refused before anything is journaled, so that mended code goes on."""
    refused: list[str] = []

    @saga_workflow(rig.name("Inside"))
    async def workflow(saga: Saga) -> str:
        ctx = saga.ctx

        async def action(step: StepContext) -> str:
            if not refused:
                try:
                    await misuse(saga, ctx)
                except MisuseError as error:
                    refused.append(str(error))
                    raise
            return "mended"

        return await create_saga_step("Outer", action)(saga)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    assert await invocation.result() == "mended"
    assert await _entries(invocation) == ["Input", "Run Outer", "Output"]
    assert f"step 'Outer' of saga {workflow.name} ({invocation.id})" in refused[0]
    assert "durable=True" in refused[0]


@pytest.mark.parametrize("place", ["body", "branch"])
async def test_r14_an_action_cannot_wait_for_a_future_of_the_body(rig: Rig, place: str) -> None:
    """What the body began, the body has to wait for: the wait replays with it."""
    refused: list[str] = []

    async def arm(saga: Saga) -> str:
        future = saga.ctx.sleep(SHORT)

        async def action(step: StepContext) -> str:
            if not refused:
                try:
                    await future
                except MisuseError as error:
                    refused.append(str(error))
                    raise
            return "mended"

        result = await create_saga_step("Outer", action)(saga)
        await future
        return result

    @saga_workflow(rig.name("Future"))
    async def workflow(saga: Saga) -> str:
        if place == "body":
            return await arm(saga)
        (result,) = await saga.gather(arm(saga))
        return result

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    assert await invocation.result() == "mended"
    assert await _entries(invocation) == ["Input", "Sleep", "Run Outer", "Output"]
    assert "step 'Outer' of saga" in refused[0]


@pytest.mark.parametrize("what", ["random", "uuid"])
async def test_r14_an_action_cannot_draw_from_the_randomness_of_the_body(
    rig: Rig, what: str
) -> None:
    """It is drawn again on replay, where actions do not run: the body would get other numbers."""
    drawn: list[str] = []

    def draw(ctx: Context) -> str:
        return str(ctx.random().random() if what == "random" else ctx.uuid())

    @saga_workflow(rig.name("Random"))
    async def workflow(saga: Saga) -> str:
        ctx = saga.ctx

        async def action(step: StepContext) -> bool:
            try:
                draw(ctx)
            except MisuseError:
                return True
            return False

        refused = await create_saga_step("Draws", action)(saga)
        drawn.append(draw(ctx))
        if len(drawn) == 1:
            raise ValueError("a hiccup")
        return f"refused: {refused}"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "refused: True"
    assert len(set(drawn)) == 1, "the same on replay"


async def _entries(invocation: Invocation) -> list[str]:
    return [f"{entry.type} {entry.name}".strip() for entry in await invocation.journal()]


def test_r14_the_context_of_an_action_has_no_restate_context() -> None:
    for plain, durable in (
        (StepContext, DurableStepContext),
        (CompensationContext, DurableCompensationContext),
    ):
        assert "ctx" not in {field.name for field in dataclasses.fields(plain)}
        assert not hasattr(plain, "ctx")
        assert "ctx" in {field.name for field in dataclasses.fields(durable)}


@pytest.mark.parametrize("place", ["thread", "undo", "undo in a thread", "run", "inside durable"])
async def test_r14_no_code_whose_result_is_one_entry_can_use_restate(rig: Rig, place: str) -> None:
    """A thread, a compensation, and the actions of ``ctx.run`` are such code, too."""
    refused: list[str] = []
    captured: list[Context] = []

    def misuse() -> None:
        if not refused:
            try:
                _ = captured[0].sleep(SHORT)
            except MisuseError as error:
                refused.append(str(error))
                raise

    def in_thread(step: StepContext) -> None:
        misuse()

    def undo_in_thread(step: CompensationContext, data: None) -> None:
        misuse()

    async def undo(step: CompensationContext, data: None) -> None:
        misuse()

    async def action() -> None:
        misuse()

    async def nothing(step: StepContext) -> None:
        """Does nothing."""

    async def durable(step: DurableStepContext) -> None:
        await step.ctx.run_typed("inner", action)

    step: SagaStep[None, None, None]
    match place:
        case "thread":
            step = create_saga_step("S", in_thread)
        case "undo":
            step = create_saga_step("S", nothing, undo)
        case "undo in a thread":
            step = create_saga_step("S", nothing, undo_in_thread)
        case "inside durable":
            step = create_saga_step("S", durable, durable=True)
        case _:
            step = create_saga_step("S", nothing)

    @saga_workflow(rig.name("Place"))
    async def workflow(saga: Saga) -> None:
        captured[:] = [saga.ctx]
        await step(saga)
        if place == "run":
            await saga.ctx.run_typed("inner", action)
        raise TerminalError("the end", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    assert (await invocation.error()).message == "the end"
    more = {"run": ["Run inner"], "inside durable": ["Run inner"]}.get(place, [])
    undone = ["Run compensate:S"] if place.startswith("undo") else []
    assert await _entries(invocation) == ["Input", "Run S", *more, *undone, "Output"]
    assert "The Restate context was used inside" in refused[0]
    assert invocation.id in refused[0]


async def test_r14_durable_code_replays_at_every_point(rig: Rig) -> None:
    service = restate.Service(rig.name("Upper"))

    @service.handler()
    async def upper(ctx: Context, text: str) -> str:
        await ctx.sleep(SHORT)
        rig.ledger.note(text)
        return text.upper()

    @saga_step("D", durable=True)
    async def d(step: DurableStepContext, text: str) -> str:
        ctx = step.ctx
        first = await ctx.service_call(upper, text)
        await ctx.sleep(SHORT)
        name, promise = ctx.awakeable(type_hint=str)
        ctx.resolve_awakeable(name, "promise")
        kept = await promise
        which, _ = await restate.select(
            slow=ctx.sleep(timedelta(seconds=30)), quick=ctx.service_call(upper, "quick")
        )
        ran = await ctx.run_typed("inner", lambda: "ran")
        return f"{first} {kept} {which} {ran}"

    @d.compensate
    async def undo(step: DurableCompensationContext[object, str], data: str) -> None:
        back = await step.ctx.service_call(upper, "back")
        which, _ = await restate.select(
            slow=step.ctx.sleep(timedelta(seconds=30)),
            quick=step.ctx.service_call(upper, "quick back"),
        )
        both = await restate.gather(
            step.ctx.service_call(upper, "left"), step.ctx.service_call(upper, "right")
        )
        sides = [await each for each in both]
        rig.ledger.note(f"undone {data}: {back} {which} {sides}")

    @saga_workflow(rig.name("Durable"))
    async def workflow(saga: Saga, fails: bool) -> str:
        result = await d(saga, "one")
        if fails:
            raise TerminalError(result, 409)
        return result

    await rig.serve(workflow, service)
    assert await rig.call(workflow, False) == "ONE promise quick ran"
    error = await rig.fail(workflow, True)
    assert error.message == "ONE promise quick ran"
    told: dict[str, Any] = {}
    for effect in rig.ledger.effects():
        told[str(effect)] = told.get(str(effect), 0) + 1
    assert told.pop("note undone ONE promise quick ran: BACK quick ['LEFT', 'RIGHT']") >= 1
    assert told == {
        "note one": 2,
        "note quick": 2,
        "note back": 1,
        "note quick back": 1,
        "note left": 1,
        "note right": 1,
    }
