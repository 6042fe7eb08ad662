"""R17: what happens beside an action that is about to fail its attempt replays identically."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest
import restate
from restate import TerminalError
from restate.context import Context

from resaga import Saga, saga_workflow
from tests.support import Rig, until

LONG = timedelta(hours=1)


class Expected(TerminalError):
    """By which a savepoint is rolled back."""


async def test_r17_a_cancel_that_comes_while_a_flaky_action_waits_for_the_others(rig: Rig) -> None:
    """The core journals the cancel of a call where it meets the cancel, so no attempt may meet it
    at another place than the next one, which has no action that waits to fail.
    """
    first_gate, held_gate = rig.gate(), rig.gate()
    first, second = rig.step("First", gate=first_gate), rig.step("Second")
    held = rig.step("Held", gate=held_gate)
    flaky = rig.step("Flaky", fails=lambda n: ValueError("a hiccup") if n == 1 else None)
    other = restate.Service(rig.name("Other"))

    @other.handler()
    async def wait(ctx: Context) -> None:
        await ctx.sleep(LONG)

    @saga_workflow(rig.name("FlakyCancelled"))
    async def workflow(saga: Saga) -> None:
        async def calls() -> None:
            await saga.ctx.service_call(wait, None)

        async def goes_on() -> None:
            await first(saga, 1)
            await second(saga, 2)

        await saga.gather(calls(), goes_on(), held(saga, 3), flaky(saga, 4))

    await rig.serve(workflow, other)
    invocation = await rig.send(workflow)
    await first_gate.reached()
    await held_gate.reached()
    await until(lambda: rig.ledger.count("do Flaky"), "the flaky one is about to fail")
    first_gate.open()
    await invocation.until_entry("First", completed=rig.flavour == "normal")
    await rig.cancel_in_flight(invocation, workflow)
    held_gate.open()
    error = await invocation.error()
    assert (error.code, error.message) == (409, "cancelled")
    assert not any("mismatch" in failure for failure in await invocation.failures())
    done = {effect.name for effect in rig.ledger.effects(kind="do")}
    assert set(rig.ledger.undone()) >= done
    assert rig.ledger.count("do First") == rig.ledger.count("do Held") == 1


async def test_r17_a_savepoint_waits_for_a_flaky_run_that_lost_a_race(rig: Rig) -> None:
    """The run is in flight, so its branch rolls nothing back; meanwhile nobody looks for progress,
    and an action in another branch is in flight, too.
    """
    gate, raced = rig.gate(), rig.gate()
    a, slow = rig.step("A"), rig.step("Slow", gate=gate)
    runs: list[int] = []

    @saga_workflow(rig.name("FlakyRace"))
    async def workflow(saga: Saga) -> str:
        async def loses() -> None:
            runs.append(1)
            await raced.hold()
            raise ValueError("a hiccup")

        async def races() -> None:
            with contextlib.suppress(Expected):
                async with saga.savepoint():
                    await a(saga, 1)
                    await restate.select(
                        run=saga.ctx.run_typed("loses", loses),
                        sleep=saga.ctx.sleep(timedelta(milliseconds=10)),
                    )
                    raise Expected("the savepoint", 410)

        await saga.gather(races(), slow(saga, 2))
        return "done"

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    if rig.flavour == "normal":
        await gate.reached()
        await raced.reached()
        await until(lambda: _slept(invocation), "the sleep has won")
    # The other flavours tell the sleep to the next attempt only, when nothing is in flight.
    raced.open()
    if rig.flavour == "normal":
        await until(lambda: raced.held == 0, "the run is about to fail")
    gate.open()
    assert await invocation.result() == "done"
    assert rig.ledger.undone() == ["A"]
    assert rig.ledger.count("do Slow") == 1


async def _slept(invocation: Any) -> bool:
    entries = await invocation.journal()
    return any(entry.type == "Sleep" and entry.completed for entry in entries)


@pytest.mark.parametrize("why", ["cancelled", "a branch fails"])
async def test_r17_savepoints_roll_back_in_one_order_whatever_is_in_flight_when(
    rig: Rig, why: str
) -> None:
    """An attempt that waits for an action decides as the next one, which does not begin it."""
    gate, last = rig.gate(), rig.gate()
    a, b, c = rig.steps("A", "B", "C")
    held = rig.step("Held", gate=gate)
    fails = rig.step("Fails", gate=last, fails=TerminalError("no", 410))

    @saga_workflow(rig.name("InOneOrder"))
    async def workflow(saga: Saga) -> None:
        async def first() -> None:
            async with saga.savepoint():
                await a(saga, 1)
                await held(saga, 2)

        async def second() -> None:
            async with saga.savepoint():
                await b(saga, 1)
                await saga.ctx.sleep(LONG)

        async def third() -> None:
            await c(saga, 1)
            if why != "cancelled":
                await fails(saga, 2)

        await saga.gather(first(), second(), third())

    wire = await rig.serve_on_wire(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await until(lambda: rig.ledger.count("do B"), "B is done")
    if rig.flavour == "normal":
        await invocation.until_entry("B", completed=True)
    if why == "cancelled":
        await rig.cancel_in_flight(invocation, workflow)
    last.open()
    # The other branch may not roll back as long as this one waits; if it did, it would do so now.
    with contextlib.suppress(AssertionError):
        await until(lambda: rig.ledger.count("undo B"), "it has rolled back", limit=0.5)
    wire.cut()
    gate.open()
    error = await invocation.error()
    assert error.code == (409 if why == "cancelled" else 410)
    assert not any("mismatch" in failure for failure in await invocation.failures())
    assert {"A", "B"} <= set(rig.ledger.undone())
    assert len(set(rig.ledger.undone())) == len(rig.ledger.undone())
