"""Sagas without a server: what they do there is what they do on one."""

from __future__ import annotations

import asyncio
import re
import uuid
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
    register_terminal_errors,
    saga_step,
    saga_workflow,
    set_global_error_mapper,
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
from resaga.testing.cases import COLUMNS, Case, cases_of
from resaga.testing.retries import Retries, Tries
from resaga.testing.rules import struck
from tests.testing.mistakes import correct
from tests.testing.scenarios import (
    SCENARIOS,
    WORLD_HEADER,
    WORLDS,
    OutOfStock,
    Scenario,
    refused_only,
)
from tests.testing.shop import World, charge, quote, reserve, shop

LIMIT = timedelta(minutes=2)
"""Only against a hang."""

BROKEN = {
    "in order": (shop, set(COLUMNS)),
    # A gather and a savepoint: the faults that meet them otherwise than steps in order.
    "composed": (
        correct("Both"),
        {"fails", "gives up", "cancel during", "cancel twice", "lost after", "undo error"},
    ),
}
"""Sagas, and the columns of their cases."""


def told(run: SagaRun[Any], *, arranged: Any = list) -> dict[str, object]:
    """What a run did that does not hang on who was quicker."""
    trace = run.trace
    error = run.error
    return {
        "output": run.output,
        "error": error and (error.status_code, anonymous(error.message, run), error.metadata),
        "completed": arranged(trace.completed),
        "failed": arranged(trace.failed),
        "compensated": arranged(trace.compensated),
        "left undone": arranged(trace.left_undone),
        "undone": arranged(run.undone),
    }


def anonymous(message: str, run: SagaRun[Any]) -> str:
    """Without the saga's id, nor the size of what it is a part of."""
    return re.sub(r"takes [\d,]+ bytes", "takes N bytes", message.replace(run.id, "ID"))


@pytest.mark.parametrize("which", BROKEN)
async def test_both_ways_at_every_point(which: str, restate_server: RestateServer) -> None:
    workflow, columns = BROKEN[which]
    learnt = await run_saga(workflow, "tea", services=World())
    cases = [case for case in cases_of(learnt.recording) if case.column in columns]
    assert len(cases) > 30
    side_by_side = any("." in event.path for event in learnt.trace.events)
    arranged: Any = sorted if side_by_side else list
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
                both = told(run, arranged=arranged), told(there, arranged=arranged)
                assert both[0] == both[1], f"{case.name}\n{run.trace}\n{there.trace}"
                assert struck(case, run.recording) == struck(case, there.recording)

        await asyncio.gather(*map(compare, cases))


async def test_all_core_scenarios_both_ways(restate_server: RestateServer) -> None:
    register_terminal_errors({OutOfStock: 410})
    set_global_error_mapper(refused_only)
    served = [s.definition for s in SCENARIOS.values()]
    assert len({definition.name for definition in served}) > 40
    served += [a for s in SCENARIOS.values() for a in s.also]
    wrong: dict[str, str] = {}
    async with SagaApp(restate_server) as app:
        await app(*{d.name: d for d in served}.values())
        client = SagaClient(app)
        places = asyncio.Semaphore(8)

        async def compare(what: str, scenario: Scenario) -> None:
            async with places:
                there = await on_the_server(client, scenario)
                here = await without(scenario, replay=False), await without(scenario, replay=True)
            if here != (there, there):
                wrong[what] = f"{there}\n{here}"

        await asyncio.gather(*(compare(*each) for each in SCENARIOS.items()))
    assert not wrong, "\n\n".join(f"{what}:\n{how}" for what, how in wrong.items())


async def on_the_server(client: SagaClient, scenario: Scenario) -> dict[str, object]:
    token, how = common(scenario)
    target = scenario.definition.handlers[scenario.handler]
    return outcome(await client.run(target, scenario.input, **how), token, scenario)


async def without(scenario: Scenario, *, replay: bool) -> dict[str, object]:
    token, how = common(scenario)
    how.update(handler=scenario.handler, calls=scenario.calls, replay=replay)
    return outcome(await run_saga(scenario.definition, scenario.input, **how), token, scenario)


def common(scenario: Scenario) -> tuple[str, dict[str, Any]]:
    """A world of its own for a run, and what both ways are given."""
    token = uuid.uuid4().hex
    WORLDS[token] = World()
    how: dict[str, Any] = {"headers": {WORLD_HEADER: token}, "faults": scenario.faults}
    return token, {**how, "key": scenario.key, "limit": LIMIT}


def outcome(run: SagaRun[Any], token: str, scenario: Scenario) -> dict[str, object]:
    arranged: Any = list if scenario.effects_in_order else sorted
    world = WORLDS.pop(token)
    return {
        **told(run, arranged=arranged),
        "log": arranged(world.log),
        "effects": sorted(world.effects.values()),
    }


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


def test_retries_are_used_up_as_restate_has_it() -> None:
    tries = Tries()
    waits = [tries.fail(Retries(max_interval=150, max_attempts=4)) for _ in range(4)]
    assert waits == [50, 100, 150, None]
    tries = Tries()
    waits = [tries.fail(Retries(initial=10, factor=1, max_duration=25)) for _ in range(3)]
    assert waits == [10, 10, None]
    assert (tries.failed, tries.waited) == (3, 30)


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
