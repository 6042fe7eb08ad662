"""R22: schemas in discovery, and typed values for callers in process. Bad input: test_bad_input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pydantic
import restate
from restate.context import Context

from resaga import Saga, saga_workflow
from tests.support import Rig


@dataclass
class Order:
    product: str
    quantity: int


class Receipt(pydantic.BaseModel):
    order_id: str = pydantic.Field(alias="orderId")


async def test_r22_discovery_carries_schemas(rig: Rig) -> None:
    @saga_workflow(rig.name("Schemas"), description="Sells things.")
    async def workflow(saga: Saga, order: Order) -> Receipt:
        """Sell one thing."""
        return Receipt(orderId=order.product)

    await rig.serve(workflow)
    response = await rig.restate.http.get(f"{rig.restate.admin}/services/{workflow.name}")
    service = response.json()
    assert service["documentation"] == "Sells things."
    (handler,) = service["handlers"]
    assert handler["name"] == "run"
    assert handler["documentation"] == "Sell one thing."
    assert handler["input_json_schema"]["$defs"]["Order"]["required"] == ["product", "quantity"]
    assert "orderId" in str(handler["output_json_schema"])


async def test_r22_callers_in_process_give_and_get_typed_values(rig: Rig) -> None:
    got: list[Any] = []

    @saga_workflow(rig.name("Child"))
    async def child(saga: Saga, order: Order) -> Receipt:
        got.append(order)
        return Receipt(orderId=order.product)

    caller = restate.Service(rig.name("Caller"))

    @caller.handler()
    async def call(ctx: Context) -> str:
        receipt = await ctx.service_call(child.run, Order("x", 2))
        assert isinstance(receipt, Receipt)
        return receipt.order_id

    await rig.serve(child, caller)
    assert await rig.call(caller.name, handler="call") == "x"
    assert set(map(type, got)) == {Order}


async def test_r22_a_handler_without_input_takes_nothing_whatever_the_content_type(
    rig: Rig,
) -> None:
    @saga_workflow(rig.name("Bare"))
    async def bare(saga: Saga) -> str:
        return "done"

    await rig.serve(bare)
    for nothing in (None, b"", b"null"):  # Without a content type, and with that of JSON.
        answer = await rig.restate.post(bare, content=nothing)
        assert (answer.status_code, answer.json()) == (200, "done")
    refused = await rig.restate.post(bare, {"a": 1})
    assert refused.status_code == 400
    assert refused.json()["message"] == f"{bare.name}: expected no input"

    # The SDK's own client from outside, too.
    async with restate.create_client(rig.restate.ingress) as client:  # pyright: ignore[reportUnknownMemberType]
        assert await client.service_call(bare.run, None) == "done"
