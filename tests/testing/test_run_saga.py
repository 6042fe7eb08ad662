"""Sagas without a server: what they do there is what they do on one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import restate
from restate import TerminalError

from resaga import (
    DurableStepContext,
    Saga,
    SagaWorkflow,
    StepResponse,
    saga_step,
    saga_workflow,
)
from resaga.server import RestateServer
from resaga.testing import (
    CaseTimeout,
    SagaApp,
    SagaClient,
    SagaRun,
    SagaTestError,
    UnknownStep,
    error,
    fail,
    run_saga,
    slow,
)
from resaga.testing.cases import Case, cases_of
from resaga.testing.rules import struck
from tests.testing.mistakes import correct
from tests.testing.shop import World, charge, quote, reserve, shop, side_by_side

LIMIT = timedelta(minutes=2)
"""Only against a hang."""

SCENARIOS = {"in order": shop, "side by side": side_by_side, "savepoint": correct("Both")}


def told(run: SagaRun[Any], case: Case) -> dict[str, object]:
    """What a run did that does not hang on who was quicker."""
    trace = run.trace
    side_by_side = any("." in event.path for event in trace.events)
    arranged: Any = sorted if side_by_side else list
    return {
        "case": case.name,
        "output": run.output,
        "error": None if run.error is None else (run.error.status_code, str(run.error)),
        "completed": arranged(trace.completed),
        "failed": arranged(trace.failed),
        "compensated": arranged(trace.compensated),
        "left undone": arranged(trace.left_undone),
        "undone": arranged(run.undone),
        "struck": struck(case, run.recording),
    }


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_both_ways(scenario: str, restate_server: RestateServer) -> None:
    workflow = SCENARIOS[scenario]
    learnt = await run_saga(workflow, "tea", services=World())
    cases = cases_of(learnt.recording)
    assert len(cases) > 30
    async with SagaApp(restate_server) as app:
        bound: SagaWorkflow[str, int, World] = workflow.with_services(lambda _: Own())
        await app(bound)
        client = SagaClient(app)

        places = asyncio.Semaphore(8)

        async def compare(case: Case) -> None:
            how: dict[str, Any] = {"faults": case.faults, "limit": LIMIT}
            async with places:
                there, here, replayed = await asyncio.gather(
                    client.run(bound, "tea", **how),
                    run_saga(workflow, "tea", services=World(), **how),
                    run_saga(workflow, "tea", services=World(), replay=True, **how),
                )
            for run in (here, replayed):
                assert told(run, case) == told(there, case), f"{run.trace}\n{there.trace}"

        await asyncio.gather(*map(compare, cases))


class Own:
    """A scope with a world of its own."""

    async def __aenter__(self) -> World:
        return World()

    async def __aexit__(self, *_: object) -> None:
        return None


async def test_stubs() -> None:
    world = World()
    run = await run_saga(
        shop, "tea", services=world, stubs={charge: TerminalError("declined", 402)}
    )
    assert run.outcome == "failed"
    assert run.error is not None
    assert (run.error.message, run.error.status_code) == ("declined", 402)
    assert run.undone == ["Reserve"]
    assert run.trace.compensated == ("Charge", "Reserve")
    assert world.log == ["do tea", "undo tea"]

    def priced(product: object) -> int:
        assert product == "tea"
        return 7

    run = await run_saga(
        shop,
        "tea",
        services=World(),
        stubs={"Reserve": "tea", quote: priced, charge: StepResponse(8)},
    )
    assert (run.outcome, run.output) == ("completed", 8)


@saga_step("Ask", durable=True)
async def ask(step: DurableStepContext[object], product: str) -> int:
    await step.ctx.sleep(timedelta(days=30))
    return await step.ctx.service_call(shop.run, product)


@ask.compensate
async def unask(step: object, _: object) -> None:
    pass


@saga_workflow("Asks", deadline=timedelta(days=31))
async def asks(saga: Saga, product: str) -> int:
    price = await ask(saga, product)
    await saga.ctx.sleep(timedelta(hours=price))
    return price


def a_day_and_more(_: object) -> int:
    return 25


@pytest.mark.parametrize("replay", [False, True])
async def test_time_jumps_and_calls_are_answered(replay: bool) -> None:
    run = await run_saga(asks, "tea", calls={shop: 23}, replay=replay)
    assert run.result() == 23
    run = await run_saga(asks, "tea", calls={"Shop/run": a_day_and_more}, replay=replay)
    assert run.error is not None
    assert run.error.status_code == 408
    assert run.undone == ["Ask"]
    run = await run_saga(
        asks, "tea", calls={shop.run: TerminalError("sold out", 409)}, replay=replay
    )
    assert run.error is not None
    assert run.error.message == "sold out"


@saga_workflow("Waits")
async def waits(saga: Saga, product: str) -> object:
    ctx: Any = saga.ctx
    return await ctx.awakeable()[1]


@saga_workflow("Unsteady")
async def unsteady(saga: Saga[World], product: str) -> object:
    if not saga.services.log:
        await reserve(saga, product)
    return await charge(saga, 3)


async def test_what_it_cannot_do() -> None:
    with pytest.raises(SagaTestError, match=r"awakeable needs the real server"):
        await run_saga(waits, "tea")
    with pytest.raises(SagaTestError, match=r"calls Shop/run, and there is no server"):
        await run_saga(asks, "tea")
    with pytest.raises(
        SagaTestError, match=r"has run 'Reserve', and this attempt makes run 'Charge'"
    ):
        await run_saga(unsteady, "tea", services=World(), replay=True)
    with pytest.raises(SagaTestError, match="is no saga"):
        await run_saga(restate.Service("Plain"), "tea")
    with pytest.raises(UnknownStep, match="fail before Nope"):
        await run_saga(shop, "tea", services=World(), faults=[fail("Nope")])
    with pytest.raises(CaseTimeout, match=r"did not end within 200 attempts.*nobody") as it:
        await run_saga(
            shop,
            "tea",
            services=World(),
            faults=[error("Quote", ConnectionError("nobody"), times=None)],
        )
    assert "Quote    tried again" in str(it.value)
    with pytest.raises(CaseTimeout, match=r"did not end within 0.1 s, with slow before Quote"):
        await run_saga(
            shop,
            "tea",
            services=World(),
            limit=timedelta(milliseconds=100),
            faults=[slow("Quote", timedelta(hours=1))],
        )
