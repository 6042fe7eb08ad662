"""The plugin and the explorer on Restate workflows, virtual objects and nested workflows."""

from __future__ import annotations

import pytest
from restate import TerminalError
from restate.context import ObjectContext, ObjectSharedContext, WorkflowContext

from resaga import Saga, SagaVirtualObject, saga_restate_workflow, saga_workflow
from resaga.server import RestateServer
from resaga.testing import SagaApp, SagaClient, explore, fail
from tests.testing.shop import WORLD, World, charge, reserve, shop

# Of a name that is its own: the examples have a Wallet with the same key on the same server.
wallet = SagaVirtualObject("KeyedWallet", services=WORLD)


@wallet.handler()
async def spend(saga: Saga[World], ctx: ObjectContext, amount: int) -> int:
    balance = (await saga.state.get("balance", int) or 0) - amount
    await saga.state.set("balance", balance)
    await charge(saga, amount)
    if balance < -100:
        raise TerminalError("overdrawn", 402)
    return balance


@wallet.handler("getBalance", kind="shared")
async def get_balance(ctx: ObjectSharedContext) -> int:
    return await ctx.get("balance", type_hint=int) or 0


@saga_restate_workflow("Once", services=WORLD)
async def once(saga: Saga[World], ctx: WorkflowContext, product: str) -> int:
    await reserve(saga, product)
    await ctx.promise("seen", type_hint=bool).resolve(True)
    return await charge(saga, len(product))


@saga_workflow("Around", services=WORLD)
async def around(saga: Saga[World], product: str) -> int:
    await reserve(saga, f"box of {product}")
    return await shop.run_as_step(saga, product)


FEW = ["fails", "cancel during", "lost after", "undo error"]
"""Enough to see that they are explored; `tests/examples` has others of them in full."""


@pytest.fixture(autouse=True)
def _clean_world() -> None:
    WORLD.effects.clear()
    WORLD.log.clear()


async def test_a_virtual_object_is_served_and_broken(
    saga_app: SagaApp, saga_client: SagaClient
) -> None:
    await saga_app(wallet)
    assert (await saga_client.run(spend, 30, key="anna")).result() == -30
    broken = await saga_client.run(spend, 30, key="anna", faults=[fail(charge)])
    assert broken.trace.compensated == ("Charge",)
    overdrawn = await saga_client.run(spend, 90, key="anna")
    assert overdrawn.error is not None
    assert overdrawn.undone == ["Charge"]
    # What the failed ones changed is restored.
    assert (await saga_client.run(get_balance, key="anna")).result() == -30


async def test_a_restate_workflow_is_explored(restate_server: RestateServer) -> None:
    report = await explore(once, "tea", server=restate_server, services=World, columns=FEW)
    report.raise_for_violations()
    assert {"Reserve", "Charge"} <= set(report.rows)


async def test_a_workflow_inside_another_is_explored_with_it(
    restate_server: RestateServer,
) -> None:
    async def effects(world: World) -> object:
        return sorted(world.effects.values())

    report = await explore(
        around, "tea", server=restate_server, services=World, snapshot=effects, columns=FEW
    )
    report.raise_for_violations()
