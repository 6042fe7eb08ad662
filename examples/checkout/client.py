"""A customer: it imports the contract, and could be another program of another team."""

from __future__ import annotations

import restate
from restate import TerminalError

from examples.checkout.contract import Checkout, Order
from resaga import workflow_client

__all__ = ["buy"]


async def buy(ingress: str, order: Order, *, order_id: str) -> str:
    """Buy something; asked twice with one ``order_id``, it is bought once."""
    async with restate.create_client(ingress) as client:  # pyright: ignore[reportUnknownMemberType]
        try:
            receipt = await workflow_client(client, Checkout).run(order, idempotency_key=order_id)
        except TerminalError as refused:
            return f"{order_id}: {refused.status_code} {refused.message}"
    return f"{order_id}: payment {receipt.payment}, {receipt.left} left"
