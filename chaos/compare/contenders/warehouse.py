"""Another Restate service, which sagas call; it is nobody's saga."""

from __future__ import annotations

import restate

from chaos.compare import shop

__all__ = ["release", "reserve", "warehouse"]

warehouse = restate.Service("Warehouse")


@warehouse.handler("reserve")
async def reserve(ctx: restate.Context, order_id: str) -> str:
    """Reserve for an order."""
    return await ctx.run_typed("reserve", shop.do, order_id=order_id, step="Reserve")


@warehouse.handler("release")
async def release(ctx: restate.Context, order_id: str) -> None:
    """Release what is reserved for it."""
    await ctx.run_typed("release", shop.undo, order_id=order_id, step="Reserve")
