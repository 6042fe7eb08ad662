"""R17: branches run side by side, replay identically, and are undone side by side."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import pytest
import restate
from restate import TerminalError
from restate.context import Context

from resaga import MisuseError, Saga, saga_workflow
from tests.support import Rig, until

SHORT = timedelta(milliseconds=20)


async def test_r17_values_come_back_in_the_order_of_the_arguments(rig: Rig) -> None:
    a, b = rig.steps("A", "B")
    d = rig.step("D", durable=True)

    @saga_workflow(rig.name("Values"))
    async def workflow(saga: Saga) -> list[Any]:
        async def branch(number: int) -> list[Any]:
            await saga.ctx.sleep(SHORT * number)
            return [await a(saga, number), *await saga.gather(b(saga, 8), d(saga, 9))]

        return list(await saga.gather(branch(3), a(saga, 1), branch(1), d(saga, 2)))

    await rig.serve(workflow)
    assert await rig.call(workflow) == [[3, 8, 9], 1, [1, 8, 9], 2]
    keys = [effect.key for effect in rig.ledger.effects()]
    assert len(set(keys)) == len(keys) == 8
    paths = {key.split(".", 1)[1] for key in keys}
    assert {"1.1.1", "1.2.1", "1.3.1", "1.1.2.1.1"} <= paths


async def test_r17_branches_are_in_flight_at_the_same_time(rig: Rig) -> None:
    gates = [rig.gate() for _ in range(4)]
    steps = [rig.step(f"S{n}", gate=gate) for n, gate in enumerate(gates)]

    @saga_workflow(rig.name("Beside"))
    async def workflow(saga: Saga) -> None:
        await saga.gather(*(step(saga, 1) for step in steps))

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    for gate in gates:
        await gate.reached()
    for gate in gates:
        gate.open()
    await invocation.result()
    assert sorted(rig.ledger.order()) == ["do S0", "do S1", "do S2", "do S3"]


async def test_r17_when_one_fails_the_others_finish_their_step_and_start_no_other(
    rig: Rig,
) -> None:
    gate = rig.gate()
    held, later = rig.step("Held", gate=gate), rig.step("Later")
    fails = rig.step("Fails", fails=TerminalError("first", 409))
    caught: list[str] = []

    @saga_workflow(rig.name("OneFails"))
    async def workflow(saga: Saga) -> None:
        async def long() -> None:
            await held(saga, 1)
            await later(saga, 2)

        async def waits() -> None:
            try:
                await saga.ctx.sleep(timedelta(hours=1))
            except TerminalError as error:
                caught.append(error.message)
                raise

        await saga.gather(long(), waits(), fails(saga, 3))

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await until(lambda: rig.ledger.count("do Fails"), "one has failed")
    await gate.reached()
    gate.open()
    error = await invocation.error()
    assert (error.code, error.message) == (409, "first")
    assert "do Later" not in rig.ledger.order()
    assert sorted(rig.ledger.undone()) == ["Fails", "Held"]
    assert set(caught) == {"a branch beside this one failed"}


async def test_r17_two_fail_and_the_first_error_is_raised(rig: Rig) -> None:
    first = rig.step("First", fails=TerminalError("first", 409))
    second = rig.step("Second", fails=TerminalError("second", 410))

    @saga_workflow(rig.name("TwoFail"))
    async def workflow(saga: Saga) -> None:
        async def slow() -> None:
            await saga.ctx.sleep(SHORT)
            await second(saga, 2)

        await saga.gather(slow(), first(saga, 1))

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message) == (409, "first")


@pytest.mark.parametrize("later", [False, True])
async def test_r17_a_caught_gather_undoes_nothing_unless_the_saga_fails_later(
    rig: Rig, later: bool
) -> None:
    a, b = rig.steps("A", "B")
    fails = rig.step("F", fails=TerminalError("no", 409), undo=False)

    @saga_workflow(rig.name("Caught"))
    async def workflow(saga: Saga) -> str:
        async def arm(step: Any) -> None:
            await step(saga, 1)
            await saga.ctx.sleep(SHORT)

        await saga.gather(arm(a), arm(b))
        with contextlib.suppress(TerminalError):
            await saga.gather(fails(saga, 1), a(saga, 2))
        if later:
            raise TerminalError("later", 410)
        return "done"

    await rig.serve(workflow)
    if later:
        assert (await rig.fail(workflow)).message == "later"
        assert sorted(rig.ledger.undone()) == ["A", "A", "B"]
    else:
        assert await rig.call(workflow) == "done"
        assert rig.ledger.undone() == []


async def test_r17_branches_are_undone_side_by_side_each_newest_first(rig: Rig) -> None:
    gates = [rig.gate(), rig.gate()]
    left = [rig.step("L1"), rig.step("L2", undo_gate=gates[0])]
    right = [rig.step("R1"), rig.step("R2", undo_gate=gates[1])]
    before = rig.step("Before")

    @saga_workflow(rig.name("Undone"))
    async def workflow(saga: Saga) -> None:
        async def branch(steps: list[Any]) -> None:
            for step in steps:
                await step(saga, 1)

        await before(saga, 1)
        await saga.gather(branch(left), branch(right))
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    for gate in gates:
        await gate.reached()
    assert rig.ledger.undone() == [], "both are in flight"
    for gate in gates:
        gate.open()
    await invocation.error()
    undone = rig.ledger.undone()
    assert undone[-1] == "Before"
    assert undone.index("L2") < undone.index("L1")
    assert undone.index("R2") < undone.index("R1")
    assert len(undone) == 5


async def test_r17_a_cancel_while_four_branches_are_in_flight(rig: Rig) -> None:
    gates = [rig.gate() for _ in range(4)]
    steps = [rig.step(f"S{n}", gate=gate) for n, gate in enumerate(gates)]
    never = rig.step("Never")

    @saga_workflow(rig.name("Cancelled"))
    async def workflow(saga: Saga) -> None:
        async def branch(step: Any) -> None:
            await step(saga, 1)
            await never(saga, 2)

        await saga.gather(*map(branch, steps))

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    for gate in gates:
        await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    for gate in gates:
        gate.open()
    error = await invocation.error()
    assert (error.code, error.message) == (409, "cancelled")
    assert rig.ledger.count("do Never") == 0
    assert sorted(rig.ledger.undone()) == ["S0", "S1", "S2", "S3"]
    order = rig.ledger.order()
    assert max(order.index(f"do S{n}") for n in range(4)) < order.index(
        next(effect for effect in order if effect.startswith("undo"))
    ), "nothing is undone while something is in flight"


async def test_r17_siblings_do_not_start_over_because_one_is_flaky(rig: Rig) -> None:
    gate = rig.gate()
    slow = rig.step("Slow", gate=gate)
    flaky = rig.step("Flaky", fails=lambda n: ValueError("a hiccup") if n < 3 else None)
    starts: list[int] = []

    @saga_workflow(rig.name("Flaky"))
    async def workflow(saga: Saga) -> None:
        async def counted() -> str:
            starts.append(1)
            await asyncio.sleep(0.05)
            return "ran"

        async def raw() -> str:
            return await saga.ctx.run_typed("raw", counted)

        await saga.gather(slow(saga, 1), flaky(saga, 2), raw())

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await until(lambda: rig.ledger.count("do Flaky"), "the flaky one has failed")
    await gate.reached()
    gate.open()
    await invocation.result()
    assert rig.ledger.count("do Slow") == 1
    assert rig.ledger.count("do Flaky") == 3
    assert len(starts) == 1


async def test_r17_every_durable_wait_lets_the_others_go_on(rig: Rig) -> None:
    service = restate.Service(rig.name("Echo"))
    a = rig.step("A")

    @service.handler()
    async def echo(ctx: Context, text: str) -> str:
        await ctx.sleep(SHORT)
        return text

    @saga_workflow(rig.name("Waits"))
    async def workflow(saga: Saga) -> list[Any]:
        ctx = saga.ctx
        name, promise = ctx.awakeable(type_hint=str)

        async def waits() -> str:
            return await promise

        async def calls() -> str:
            return await ctx.service_call(echo, "called")

        async def selects() -> str:
            which, _ = await restate.select(
                slow=ctx.sleep(timedelta(hours=1)), quick=ctx.service_call(echo, "x")
            )
            return str(which)

        async def gathers() -> list[str]:
            both = await restate.gather(ctx.service_call(echo, "1"), ctx.service_call(echo, "2"))
            return [await each for each in both]

        async def resolves() -> int:
            result: int = await a(saga, 5)
            ctx.resolve_awakeable(name, "resolved")
            return result

        return list(await saga.gather(waits(), calls(), selects(), gathers(), resolves()))

    await rig.serve(workflow, service)
    assert await rig.call(workflow) == ["resolved", "called", "quick", ["1", "2"], 5]
    assert rig.ledger.order() == ["do A"]


async def _sleeps(saga: Saga) -> None:
    await asyncio.sleep(0.01)


async def _waits_for_an_event(saga: Saga) -> None:
    await asyncio.Event().wait()


async def _asyncio_gathers(saga: Saga) -> None:
    await asyncio.gather(asyncio.sleep(0.01), asyncio.sleep(0.01))


async def _awaits_a_task(saga: Saga) -> None:
    await asyncio.create_task(asyncio.sleep(0.01))


@pytest.mark.parametrize("branch", [_sleeps, _waits_for_an_event, _asyncio_gathers, _awaits_a_task])
async def test_r17_what_is_not_durable_is_refused_in_a_branch(rig: Rig, branch: Any) -> None:
    a = rig.step("A")
    refused: list[str] = []

    @saga_workflow(rig.name("NotDurable"))
    async def workflow(saga: Saga) -> int:
        if not refused:
            try:
                await saga.gather(a(saga, 1), branch(saga))
            except MisuseError as error:
                refused.append(str(error))
                raise
        result: tuple[int] = await saga.gather(a(saga, 1))
        return result[0]

    await rig.serve(workflow)
    assert await rig.call(workflow) == 1
    assert "is not durable" in refused[0]
    assert rig.ledger.undone() == []


async def test_r17_a_task_is_refused(rig: Rig) -> None:
    a = rig.step("A")
    refused: list[str] = []

    @saga_workflow(rig.name("Task"))
    async def workflow(saga: Saga) -> None:
        async def nothing() -> None:
            """Awaits nothing."""

        task = asyncio.create_task(nothing())
        await task
        try:
            await saga.gather(a(saga, 1), task)
        except MisuseError as error:
            refused.append(str(error))

    await rig.serve(workflow)
    await rig.call(workflow)
    assert "Give coroutines" in refused[0]
    assert rig.ledger.order() == []
