"""R17 under fire: random branches, failures and cancels; effects counted by their keys."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import restate
from restate import TerminalError
from restate.context import Context

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    Saga,
    SagaStep,
    StepContext,
    create_saga_step,
    saga_workflow,
)
from tests.support import HANG, Invocation, RemoteError, Rig

SAGAS = 20
SIDE_BY_SIDE = 8


class Plan:
    """What one saga does, all of it from its seed, so that a replay decides alike."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.fails = 0.1 if seed % 3 == 0 else 0.0

    def below(self, bound: float) -> bool:
        """Whether a throw of the dice is below ``bound``."""
        return self._random.random() < bound

    def number(self, low: int, high: int) -> int:
        """A number from ``low`` to ``high``."""
        return self._random.randint(low, high)

    def fork(self) -> Plan:
        """The plan of a branch."""
        plan = Plan(self._random.randrange(2**32))
        plan.fails = self.fails
        return plan


class Saboteur:
    """Steps that write to the ledger, and fail once or for good if told to."""

    def __init__(self, rig: Rig) -> None:
        self.ledger = rig.ledger
        self.hiccups: Counter[str] = Counter()
        self.starts: Counter[str] = Counter()
        self.echo = restate.Service(rig.name("Echo"))
        self.say = self.echo.handler()(echo)
        make: Any = create_saga_step
        self.plain: SagaStep[str, str] = make("Plain", self._run, self._undo)
        self.durable: SagaStep[str, str] = make(
            "Durable", self._run_long, self._undo_long, durable=True
        )

    async def _run(self, step: StepContext, told: str) -> str:
        self.starts[step.idempotency_key] += 1
        await asyncio.sleep(0.001 * (len(step.idempotency_key) % 7))
        if told == "hiccup" and not self.hiccups[step.idempotency_key]:
            self.hiccups[step.idempotency_key] += 1
            raise ValueError("a hiccup")
        if told == "fail":
            raise TerminalError("told to fail", 409)
        self.ledger.do(step, step.idempotency_key)
        return told

    async def _undo(self, step: CompensationContext[object, str], data: str) -> None:
        self.ledger.undo(step, [step.forward_idempotency_key, step.outcome])

    async def _run_long(self, step: DurableStepContext, told: str) -> str:
        await step.ctx.sleep(timedelta(milliseconds=5))
        await restate.select(
            a=step.ctx.service_call(self.say, "x"), b=step.ctx.sleep(timedelta(milliseconds=20))
        )
        return await step.ctx.service_call(self.say, told)

    async def _undo_long(self, step: DurableCompensationContext[object, str], data: str) -> None:
        await step.ctx.service_call(self.say, "undone")


async def echo(ctx: Context, text: str) -> str:
    """Say it again, a little later."""
    await ctx.sleep(timedelta(milliseconds=10))
    return text


async def branch(saga: Saga, steps: Saboteur, plan: Plan, depth: int) -> None:
    """A branch of random length, of all that may stand in one."""
    for _ in range(plan.number(1, 4)):
        told = "fail" if plan.below(plan.fails) else "hiccup" if plan.below(0.2) else "go on"
        kind = plan.number(1, 10)
        if kind <= 5:
            await steps.plain(saga, told)
        elif kind == 6:
            await steps.durable(saga, told)
        elif kind == 7:
            await saga.ctx.sleep(timedelta(milliseconds=plan.number(1, 20)))
        elif kind == 8 or depth == 2:
            await _savepoint(saga, steps, fails=plan.below(0.5))
        else:
            arms = [branch(saga, steps, plan.fork(), depth + 1) for _ in range(plan.number(1, 3))]
            await saga.gather(*arms)


async def _savepoint(saga: Saga, steps: Saboteur, *, fails: bool) -> None:
    try:
        async with saga.savepoint():
            await steps.plain(saga, "go on")
            if fails:
                raise TerminalError("the savepoint", 410)
            await steps.plain(saga, "go on")
    except TerminalError as error:
        if error.status_code != 410:
            raise


async def test_r17_random_sagas_have_each_effect_once(rig: Rig) -> None:
    steps = Saboteur(rig)

    @saga_workflow(rig.name("Random"))
    async def workflow(saga: Saga, seed: int) -> str:
        plan = Plan(seed)
        await saga.gather(*[branch(saga, steps, plan.fork(), 0) for _ in range(plan.number(2, 5))])
        await steps.plain(saga, "fail" if seed % 5 == 0 else "go on")
        return "done"

    await rig.serve(workflow, steps.echo)
    turns = asyncio.Semaphore(SIDE_BY_SIDE)
    ends: dict[str, RemoteError | str] = {}

    async def one(seed: int) -> None:
        async with turns:
            invocation = await rig.send(workflow, seed)
            if seed % 7 == 0:
                await _cancel(invocation, times=1 + seed % 2)
            attached = await invocation.attach(limit=4 * HANG)  # Large, on a loaded machine.
            ends[invocation.id] = attached.error or "done"

    await asyncio.gather(*map(one, range(1, SAGAS + 1)))
    assert len(ends) == SAGAS
    for saga_id, end in ends.items():
        _check(rig, saga_id, end)
    assert set(steps.starts.values()) <= {1, 2}, "one more for a hiccup of its own"
    kinds = {end if isinstance(end, str) else end.code for end in ends.values()}
    assert {"done", 409} <= kinds


async def _cancel(invocation: Invocation, *, times: int) -> None:
    """Cancel once it is on its way; it may be over by then."""
    await invocation.until_entry("Plain")
    for _ in range(times):
        response = await invocation.server.http.patch(
            f"{invocation.server.admin}/invocations/{invocation.id}/cancel"
        )
        assert response.status_code in (202, 409), response.text


def _check(rig: Rig, saga_id: str, end: Any) -> None:
    effects = rig.ledger.effects(saga=saga_id)
    done = [effect.key for effect in effects if effect.kind == "do"]
    undone = [effect.payload[0] for effect in effects if effect.kind == "undo"]
    assert len(done) == len(set(done)), "each effect once"
    assert len(undone) == len(set(undone)), "each compensation once"
    at = {effect.key: effect.seq for effect in effects if effect.kind == "do"}
    for effect in effects:
        if effect.kind == "undo" and effect.payload[0] in at:
            assert at[effect.payload[0]] < effect.seq, "nothing is undone before it is done"
    if end != "done":
        assert set(done) <= set(undone), "what was done is undone"
