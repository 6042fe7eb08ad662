"""R17 under fire: random branches, failures and cancels; effects counted by their keys.

``RESAGA_FUZZ_SAGAS=500`` runs more of them than the suite does; add ``--timeout 900``.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import restate
from restate import TerminalError
from restate.context import Context

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    Saga,
    SagaStep,
    SagaWorkflow,
    StepContext,
    create_saga_step,
    create_saga_step_strict,
    saga_workflow,
)
from tests.support import Invocation, RemoteError, Rig, until
from tests.support.ledger import Effect

SEEDS = range(1, 1 + int(os.environ.get("RESAGA_FUZZ_SAGAS", "40")))
SIDE_BY_SIDE = 8
IN_A_SAVEPOINT = 410

Order = Literal["go on", "hiccup", "fail", "go on, and be undone by the savepoint"]
End = RemoteError | Literal["done"]


class Plan:
    """What one saga does, all of it from its seed, so that a replay decides alike."""

    def __init__(self, seed: int, *, fails: float) -> None:
        self._random = random.Random(seed)
        self._fails = fails

    @classmethod
    def of(cls, seed: int) -> Plan:
        """One saga in three has branches that fail for good."""
        return cls(seed, fails=0.1 if seed % 3 == 0 else 0.0)

    def likely(self, chance: float) -> bool:
        """Throw the dice."""
        return self._random.random() < chance

    def number(self, low: int, high: int) -> int:
        """A number from ``low`` to ``high``."""
        return self._random.randint(low, high)

    def order(self) -> Order:
        """What a step is told."""
        if self.likely(self._fails):
            return "fail"
        return "hiccup" if self.likely(0.2) else "go on"

    def fork(self) -> Plan:
        """The plan of a branch."""
        return Plan(self._random.randrange(2**32), fails=self._fails)


class Steps:
    """Steps that write to the ledger, and fail once or for good if told to."""

    def __init__(self, rig: Rig) -> None:
        self._ledger = rig.ledger
        self._hiccups: set[str] = set()
        self.echo = restate.Service(rig.name("Echo"))
        self._say = self.echo.handler()(echo)
        make: Any = create_saga_step
        strict: Any = create_saga_step_strict
        self.plain: SagaStep[Order, str] = make("Plain", self._run, self._undo)
        self.threaded: SagaStep[Order, str] = make("Thread", self._run_plain, self._undo_plain)
        self.strict: SagaStep[Order, str] = strict("Strict", self._run, self._undo)
        self.durable: SagaStep[Order, str] = make(
            "Durable", self._run_long, self._undo_long, durable=True
        )

    def _start(self, step: StepContext) -> None:
        self._ledger.write("note", "start", saga=step.saga_id, key=step.idempotency_key)

    def _act(self, step: StepContext, told: Order) -> str:
        key = step.idempotency_key
        if told == "hiccup" and key not in self._hiccups:
            self._hiccups.add(key)
            raise ValueError("a hiccup")
        if told == "fail":
            raise TerminalError("told to fail", 409)
        self._ledger.do(step, told)
        return told

    def _take_back(self, step: CompensationContext[object, Order]) -> None:
        self._ledger.write(
            "undo", step.name, saga=step.saga_id, key=step.forward_idempotency_key,
            payload=step.outcome,
        )  # fmt: skip

    async def _run(self, step: StepContext, told: Order) -> str:
        self._start(step)
        await asyncio.sleep(0.001 * (len(step.idempotency_key) % 7))
        return self._act(step, told)

    async def _undo(self, step: CompensationContext[object, Order], data: str) -> None:
        await asyncio.sleep(0)
        self._take_back(step)

    def _run_plain(self, step: StepContext, told: Order) -> str:
        self._start(step)
        return self._act(step, told)

    def _undo_plain(self, step: CompensationContext[object, Order], data: str) -> None:
        self._take_back(step)

    async def _run_long(self, step: DurableStepContext, told: Order) -> str:
        await step.ctx.sleep(timedelta(milliseconds=5))
        await restate.select(
            a=step.ctx.service_call(self._say, "x"), b=step.ctx.sleep(timedelta(milliseconds=20))
        )

        async def act() -> str:
            self._start(step)
            return self._act(step, told)

        return await step.ctx.service_call(self._say, await step.ctx.run_typed("act", act))

    async def _undo_long(self, step: DurableCompensationContext[object, Order], data: str) -> None:
        await step.ctx.service_call(self._say, "undone")

        async def act() -> None:
            self._take_back(step)

        await step.ctx.run_typed("take back", act)


async def echo(ctx: Context, text: str) -> str:
    """Say it again, a little later."""
    await ctx.sleep(timedelta(milliseconds=10))
    return text


async def branch(saga: Saga, steps: Steps, plan: Plan, depth: int) -> None:
    """A branch of random length, of all that may stand in one."""
    for _ in range(plan.number(1, 4)):
        kind = plan.number(1, 12)
        if kind <= 4:
            await steps.plain(saga, plan.order())
        elif kind == 5:
            await steps.threaded(saga, plan.order())
        elif kind == 6:
            await steps.strict(saga, plan.order())
        elif kind == 7:
            await steps.durable(saga, plan.order())
        elif kind == 8:
            await saga.ctx.sleep(timedelta(milliseconds=plan.number(1, 20)))
        elif kind == 9 or depth == 2:
            await _savepoint(saga, steps, fails=plan.likely(0.5))
        else:
            arms = [branch(saga, steps, plan.fork(), depth + 1) for _ in range(plan.number(1, 3))]
            await saga.gather(*arms)


async def _savepoint(saga: Saga, steps: Steps, *, fails: bool) -> None:
    told: Order = "go on, and be undone by the savepoint" if fails else "go on"
    try:
        async with saga.savepoint():
            await steps.plain(saga, told)
            await saga.gather(steps.strict(saga, told), steps.plain(saga, told))
            await steps.plain(saga, told)
            if fails:
                raise TerminalError("another way", IN_A_SAVEPOINT)
    except TerminalError as error:
        if error.status_code != IN_A_SAVEPOINT:
            raise


async def test_r17_random_sagas_have_each_effect_once(rig: Rig) -> None:
    steps = Steps(rig)

    @saga_workflow(rig.name("Random"))
    async def workflow(saga: Saga, seed: int) -> str:
        plan = Plan.of(seed)
        await saga.gather(*[branch(saga, steps, plan.fork(), 0) for _ in range(plan.number(2, 5))])
        await steps.plain(saga, "fail" if seed % 5 == 0 else "go on")
        return "done"

    await rig.serve(workflow, steps.echo)
    turns = asyncio.Semaphore(SIDE_BY_SIDE)
    ends: dict[int, tuple[str, End]] = {}

    async def one(seed: int) -> None:
        async with turns:
            ends[seed] = await _run(rig, workflow, seed)

    await asyncio.gather(*map(one, SEEDS))
    effects: dict[str, list[Effect]] = {}
    for effect in rig.ledger.effects():
        effects.setdefault(effect.saga, []).append(effect)
    for seed, (saga_id, end) in ends.items():
        History(f"seed {seed}, {saga_id}, {end}", effects[saga_id]).check(failed=end != "done")
    told = Counter("done" if end == "done" else end.message for _, end in ends.values())
    assert set(told) == {"done", "told to fail", "cancelled"}, told


async def _run(rig: Rig, workflow: SagaWorkflow[int, str], seed: int) -> tuple[str, End]:
    """Run one; of seven, one is cancelled somewhere on its way, and some again in the rollback."""
    invocation = await rig.send(workflow, seed)
    ending = asyncio.create_task(invocation.attach())
    if seed % 7 == 0:
        await _cancel(rig, invocation, ending, lambda order: len(order) >= seed % 25)
        if seed % 2 == 0:
            await _cancel(
                rig, invocation, ending, lambda order: any(e.startswith("undo") for e in order)
            )
    end = await ending
    return invocation.id, end.error or "done"


async def _cancel(
    rig: Rig,
    invocation: Invocation,
    ending: asyncio.Task[Any],
    when: Callable[[list[str]], bool],
) -> None:
    """Cancel when it has got so far; it may be over by then."""
    await until(lambda: ending.done() or when(rig.ledger.order(invocation.id)), "it is on its way")
    response = await invocation.server.http.patch(
        f"{invocation.server.admin}/invocations/{invocation.id}/cancel"
    )
    assert response.status_code in (202, 409), response.text


@dataclass(frozen=True, slots=True)
class History:
    """What the ledger tells of one saga."""

    name: str
    effects: list[Effect]

    def check(self, *, failed: bool) -> None:
        """Hold it against what R17 and R9 promise."""
        done, undone = self._places("do"), self._places("undo")
        starts = Counter(effect.key for effect in self.effects if effect.kind == "note")
        told = {effect.key: effect.payload for effect in self.effects if effect.kind == "do"}
        outcomes = {effect.key: effect.payload for effect in self.effects if effect.kind == "undo"}
        for key, times in starts.items():
            assert times <= 1 + (told.get(key, "hiccup") == "hiccup"), f"{key} starts over{self}"
        for key in done:
            assert undone.get(key, done[key] + 1) > done[key], f"{key} is undone too early{self}"
            assert outcomes.get(key) in (None, "completed", "unknown"), f"{key}: {outcomes}{self}"
        if failed:
            assert done.keys() <= undone.keys(), f"not undone: {done.keys() - undone.keys()}{self}"
        else:
            expected = {key for key, order in told.items() if order.endswith("by the savepoint")}
            assert undone.keys() == expected, f"undone otherwise than by savepoints{self}"
        self._check_order(undone)

    def _places(self, kind: str) -> dict[str, int]:
        """Where in the order of effects the one of each key stands."""
        found = [effect for effect in self.effects if effect.kind == kind]
        places = {effect.key: effect.seq for effect in found}
        assert len(places) == len(found), f"a {kind} was done twice{self}"
        return places

    def _check_order(self, undone: dict[str, int]) -> None:
        """What began later on the same line, before the other was undone, is undone first."""
        begun: dict[str, int] = {}
        for effect in self.effects:
            if effect.kind == "note":
                begun.setdefault(effect.key, effect.seq)
        for older, at in undone.items():
            for newer, later in undone.items():
                if is_before(older, newer) and begun.get(newer, at) < at:
                    assert later < at, f"{newer} is undone after {older}{self}"

    def __str__(self) -> str:
        lines = [f"{e.kind} {e.name} {e.key.split('.', 1)[1]} {e.payload}" for e in self.effects]
        return "\n  ".join([f" ({self.name})", *lines])


def is_before(older: str, newer: str) -> bool:
    """Whether one step stands before another, by their keys; those in two branches do not.

    In a path, ``"3.1.2"``, numbers of calls and numbers of branches take turns.
    """
    paths = [key.split(".")[1:] for key in (older, newer)]
    for place, (left, right) in enumerate(zip(*paths, strict=False)):
        if left != right:
            return place % 2 == 0 and int(left) < int(right)
    return False


def test_r17_what_stands_before_what_is_told_by_the_paths() -> None:
    assert is_before("i.1", "i.2")
    assert is_before("i.2", "i.10")
    assert is_before("i.1.2.3", "i.1.2.4")
    assert is_before("i.1.2.3", "i.2")
    assert not is_before("i.2", "i.1.2.3")
    assert not is_before("i.1.1.1", "i.1.2.9")
    assert is_before("i.1.1.1", "i.1.1.2.3.1")
