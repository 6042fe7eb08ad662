"""How a worker of the demo comes to die at one exact point: after a commit, before its journaling.

The shop's own code returns as soon as a transaction is committed. A `TrappedShop` returns, too,
unless a trap is set for what was done: then it tells the demo, and waits to be killed.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal, TypeAlias

from sqlalchemy.ext.asyncio import AsyncEngine

from resaga.cli.demo.events import Event, Teller
from resaga.cli.demo.shop import Shop

__all__ = ["Trap", "TrapPoint", "TrappedShop"]

TrapPoint: TypeAlias = Literal["charge", "refund"]


class Trap:
    """A trap that the demo sets, and a worker of its steps into: a file that is there, or not.

    Args:
        file: Where it is.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def set(self, point: TrapPoint) -> None:
        """From now on, a worker waits once it has committed this."""
        self._file.write_text(point)

    def remove(self) -> None:
        """From now on, no worker waits."""
        self._file.unlink(missing_ok=True)

    def is_set(self, point: TrapPoint) -> bool:
        """Whether a worker has to wait here."""
        try:
            return self._file.read_text() == point
        except FileNotFoundError:
            return False


class TrappedShop(Shop):
    """A shop in which a worker may have to wait for its end."""

    def __init__(self, engine: AsyncEngine, trap: Trap, teller: Teller) -> None:
        super().__init__(engine)
        self._trap = trap
        self._teller = teller

    async def charge(self, order_id: str, amount: int, *, key: str) -> None:
        """Take the money; it is committed when this returns."""
        await super().charge(order_id, amount, key=key)
        await self._pass("charge")

    async def refund(self, *, charged_by: str, key: str) -> None:
        """Give the money back; it is committed when this returns."""
        await super().refund(charged_by=charged_by, key=key)
        await self._pass("refund")

    async def _pass(self, point: TrapPoint) -> None:
        if self._trap.is_set(point):
            self._teller.tell(Event(kind="trapped", text=point))
            await asyncio.Event().wait()
