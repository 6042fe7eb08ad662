"""R13: the idempotency key of a step, the same on every attempt, and kept with its result."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import restate
from restate import TerminalError
from restate.context import Context

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    Saga,
    StepResponse,
    saga_step,
    saga_workflow,
)
from resaga.server import Worker
from tests.support import Invocation, Rig, until
from tests.support.crash_app import LEDGER, PROTOCOL, SERVICE

ROOT = Path(__file__).parents[2]


async def test_r13_keys_are_unique_and_differ_from_those_of_compensations(rig: Rig) -> None:
    a, b = rig.steps("A", "B")

    @saga_workflow(rig.name("Keys"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await a(saga, 2)
        await b(saga, 3)
        saga.add_compensation("Extra", extra, 4)
        raise TerminalError("no", 409)

    async def extra(step: CompensationContext[Any, int], data: int) -> None:
        rig.ledger.undo(step, data)

    await rig.serve(workflow)
    await rig.fail(workflow)
    first = rig.ledger.effects()
    await rig.fail(workflow)
    keys = [effect.key for effect in rig.ledger.effects()]
    assert len(first) == 7
    assert len(keys) == 14
    assert len(set(keys)) == 14, "two sagas have no key in common either"
    forward = {(e.name, e.payload): e.key for e in first if e.kind == "do"}
    kept = {
        (e.name, e.payload["input"]): e.payload["forward_key"]
        for e in first[3:]
        if e.name != "Extra"
    }
    assert kept == forward, "each compensation gets the key of its own action"


async def test_r13_a_retried_attempt_has_the_same_key(rig: Rig) -> None:
    a = rig.step("A", fails=lambda n: ValueError("a hiccup") if n < 3 else None)
    b = rig.step("B", fails=TerminalError("no"), undo_fails=lambda n: KeyError() if n < 3 else None)

    @saga_workflow(rig.name("SameKey"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 1)

    await rig.serve(workflow)
    await rig.fail(workflow)
    done = [e.key for e in rig.ledger.effects(kind="do", name="A")]
    assert len(done) == 3
    assert len(set(done)) == 1
    undone = [e.key for e in rig.ledger.effects(kind="undo", name="B")]
    assert len(undone) == 3
    assert len(set(undone)) == 1


async def test_r13_a_threaded_and_a_strict_step_have_keys_alike(rig: Rig) -> None:
    steps = [rig.step("T", threaded=True), rig.step("S", strict=True), rig.step("D", durable=True)]

    @saga_workflow(rig.name("AllKinds"))
    async def workflow(saga: Saga) -> None:
        for step in steps:
            await step(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    await rig.fail(workflow)
    done = {e.name: e.key for e in rig.ledger.effects(kind="do")}
    undone = {e.name: e for e in rig.ledger.effects(kind="undo")}
    assert {name: e.payload["forward_key"] for name, e in undone.items()} == done
    assert len({*done.values(), *(e.key for e in undone.values())}) == 6


async def test_r13_calls_in_branches_and_savepoints_have_keys_of_their_own(rig: Rig) -> None:
    """Each keeps its key while attempts fail, although the branches take turns as they like."""
    a = rig.step("A", fails=lambda n: ValueError("a hiccup") if n in (1, 3, 6) else None)

    async def arm(saga: Saga, first: int) -> None:
        await a(saga, first)
        await a(saga, first + 1)

    async def nested(saga: Saga, first: int) -> None:
        async with saga.savepoint():
            await saga.gather(arm(saga, first), arm(saga, first + 2))

    @saga_workflow(rig.name("Branches"))
    async def workflow(saga: Saga) -> None:
        await saga.gather(arm(saga, 1), nested(saga, 3), arm(saga, 7))
        async with saga.savepoint():
            await a(saga, 9)
        await a(saga, 10)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    await rig.fail(workflow)
    done = rig.ledger.effects(kind="do")
    assert len(done) > 10, "some were done again"
    keys = {effect.payload: effect.key for effect in done}
    assert {(e.payload, e.key) for e in done} == set(keys.items()), "again, with the same key"
    undone = rig.ledger.effects(kind="undo")
    assert {e.payload["input"]: e.payload["forward_key"] for e in undone} == keys
    assert len({*keys.values(), *(e.key for e in undone)}) == 20


@pytest.mark.parametrize("where", ["do B", "undo B"])
async def test_r13_the_key_is_the_same_after_the_worker_is_killed(rig: Rig, where: str) -> None:
    """SIGKILL between the effect and its entry: the next process has to use the same key."""
    service = rig.name("KilledKey")
    env = {LEDGER: str(rig.ledger.path), SERVICE: service}
    if rig.flavour == "serverless":
        env[PROTOCOL] = "request_response"
    async with Worker(app="tests.support.crash_app:app", cwd=ROOT, env=env) as worker:
        await rig.restate.register(worker.uri)
        invocation = await rig.send(service, where)
        await until(lambda: rig.ledger.has_flag(f"at {where}"), f"the worker is at {where}")
        await asyncio.to_thread(worker.kill)
        rig.ledger.raise_flag(where)
        await asyncio.to_thread(worker.restart)
        await invocation.error()
    first, second = [e for e in rig.ledger.effects() if str(e) == where]
    assert first.payload != second.payload, "two processes"
    assert first.key == second.key
    others = {e.key for e in rig.ledger.effects() if str(e) != where}
    assert first.key not in others


async def _restart(rig: Rig, invocation: Invocation, after: str) -> Invocation:
    """Restate's restart-as-new: a copy of the journal up to the run, or the call, ``after``."""
    entries = await invocation.journal()
    at = min(
        entry.index
        for entry in entries
        if entry.name == after or (entry.type == "Call" and after in entry.name)
    )
    response = await rig.restate.http.patch(
        f"{rig.restate.admin}/invocations/{invocation.id}/restart-as-new?from={at}"
    )
    assert response.status_code == 200, response.text
    return Invocation(rig.restate, response.json()["new_invocation_id"])


async def test_r13_a_copy_of_the_invocation_undoes_with_the_key_the_action_had(rig: Rig) -> None:
    a, b = rig.steps("A", "B")

    @saga_workflow(rig.name("Copied"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.error()
    copy = await _restart(rig, invocation, "A")
    await copy.error()
    done = {e.saga: e.key for e in rig.ledger.effects(kind="do", name="A")}
    assert list(done) == [invocation.id], "the copy has the result of A in its journal"
    kept = [e.payload for e in rig.ledger.effects(kind="undo", name="A", saga=copy.id)]
    assert [payload["forward_key"] for payload in kept] == [done[invocation.id]]
    of_b = {e.saga: e.key for e in rig.ledger.effects(kind="do", name="B")}
    assert of_b[copy.id] != of_b[invocation.id], "what the copy does anew has a key of its own"


async def test_r13_a_copy_replays_the_calls_of_durable_code(rig: Rig) -> None:
    service = restate.Service(rig.name("Callee"))

    @service.handler()
    async def echo(ctx: Context, text: str) -> str:
        rig.ledger.note(text)
        return text

    @saga_step("D", durable=True)
    async def d(step: DurableStepContext) -> str:
        return await step.ctx.service_call(echo, "do", idempotency_key=step.idempotency_key)

    @d.compensate
    async def undo(step: DurableCompensationContext[object, None], data: str | None) -> None:
        await step.ctx.service_call(echo, "undo", idempotency_key=step.idempotency_key)
        await step.ctx.service_call(echo, "undo, too")
        rig.ledger.note(step.forward_idempotency_key)

    a = rig.step("A")

    @saga_workflow(rig.name("CopiedCalls"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await d(saga)
        raise TerminalError("no", 409)

    await rig.serve(workflow, service)
    invocation = await rig.send(workflow)
    await invocation.error()
    rig.ledger.clear()
    copy = await _restart(rig, invocation, "compensate:A")
    error = await copy.error()
    assert (error.code, error.message) == (409, "no")
    notes = {str(effect) for effect in rig.ledger.effects()}
    assert notes == {f"note {invocation.id}.2"}, "no call was made again"


@pytest.mark.parametrize("how", ["raised", "returned"])
async def test_r13_a_copy_of_a_step_that_failed_undoes_with_the_key_it_had(
    rig: Rig, how: str
) -> None:
    """The key is kept with the failure, too: the action may have had its effect by then."""
    declined: StepResponse[Any, Any] = StepResponse.permanent_failure("declined", "hold 1")
    a = (
        rig.step("A", fails=TerminalError("declined", 402))
        if how == "raised"
        else rig.step("A", returns=lambda _: declined)
    )

    @saga_workflow(rig.name("CopiedFailure"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.error()
    copy = await _restart(rig, invocation, "A")
    assert (await copy.error()).message == "declined"
    (done,) = rig.ledger.effects(kind="do")
    first, again = rig.ledger.effects(kind="undo")
    assert (first.saga, again.saga) == (invocation.id, copy.id)
    assert first.payload["forward_key"] == again.payload["forward_key"] == done.key


async def test_r13_a_copy_from_within_durable_code_goes_on_with_its_key(rig: Rig) -> None:
    """The step's first call is in the copy, its second is not: both bear the same key."""
    service = restate.Service(rig.name("Called"))

    @service.handler()
    async def first(ctx: Context, key: str) -> None:
        rig.ledger.note("first", key)

    @service.handler()
    async def second(ctx: Context, key: str) -> None:
        rig.ledger.note("second", key)

    @saga_step("D", durable=True)
    async def d(step: DurableStepContext) -> None:
        rig.ledger.note("began", step.idempotency_key, saga=step.saga_id)
        for handler in (first, second):
            await step.ctx.service_call(
                handler, step.idempotency_key, idempotency_key=step.idempotency_key
            )

    @saga_workflow(rig.name("CopiedWithin"))
    async def workflow(saga: Saga) -> str:
        await d(saga)
        return "done"

    await rig.serve(workflow, service)
    invocation = await rig.send(workflow)
    await invocation.result()
    copy = await _restart(rig, invocation, "first")
    assert await copy.result() == "done"
    began = {(e.saga, e.payload) for e in rig.ledger.effects(name="began")}
    key = f"{invocation.id}.1"
    assert began == {(invocation.id, key), (copy.id, key)}
    assert [e.payload for e in rig.ledger.effects(name="first")] == [key]
    # Made anew by the copy, and the same to the one that is called.
    assert [e.payload for e in rig.ledger.effects(name="second")] == [key]
