"""The shop that all contenders sell for: what their steps call, and what they are told.

Everything here is what a user would have before he chooses how to write his saga.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel
from restate import TerminalError

from chaos.compare.ledger import Ledger

__all__ = [
    "LEDGER",
    "STEPS",
    "Label",
    "Order",
    "OrderFailed",
    "OutOfStock",
    "Receipt",
    "Response",
    "charge",
    "do",
    "print_label",
    "respond",
    "undo",
]

LEDGER = "RESAGA_COMPARE_LEDGER"
"""The environment variable by which a worker knows the ledger."""

STEPS = ("Reserve", "Charge", "Pack", "Ship")
"""The steps of a sale, each with a compensation."""

DECLINED, REFUSED = 409, 422
"""The codes with which the shop says no to an action, and to an undo."""

POLL = 0.01
"""Seconds between two looks for an answer that is held back."""


class Order(BaseModel):
    """What a customer wants."""

    id: str
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the shop gives for money."""

    order_id: str
    amount: int


class Label(BaseModel):
    """What goes on a parcel."""

    order_id: str
    weight: int


class Response:
    """What the shop's client library returns: no JSON can be made of it."""


class OrderFailed(Exception):
    """Raised by a saga's body from the terminal error that ended it."""


class OutOfStock(Exception):
    """An error of the shop's that no other attempt would mend."""


@cache
def _ledger() -> Ledger:
    return Ledger(Path(os.environ[LEDGER]))


async def _ask(order_id: str, action: str, code: int) -> str:
    ledger = _ledger()
    match ledger.request(order_id, action):
        case "declined":
            raise TerminalError(f"{action}: declined", status_code=code)
        case "unreachable":
            raise ConnectionError(f"{action}: the shop cannot be reached")
        case "lost":
            raise ConnectionError(f"{action}: no answer")
        case "held":
            while action not in ledger.effects(order_id):
                await asyncio.sleep(POLL)
        case "done":
            pass
    return f"{action} of {order_id}"


async def do(order_id: str, step: str) -> str:
    """Do a step; what is asked for twice is done once."""
    return await _ask(order_id, step, DECLINED)


async def undo(order_id: str, step: str) -> None:
    """Undo a step, done or not; what is asked for twice is done once."""
    await _ask(order_id, f"undo {step}", REFUSED)


async def charge(order_id: str) -> Receipt:
    """Do the step ``Charge``, and get a dataclass."""
    await do(order_id, "Charge")
    return Receipt(order_id, 50)


async def print_label(order_id: str) -> Label:
    """Do the step ``Pack``, and get a pydantic model."""
    await do(order_id, "Pack")
    return Label(order_id=order_id, weight=3)


async def respond(order_id: str) -> Response:
    """Do the step ``Charge``, and get what cannot be journaled."""
    await do(order_id, "Charge")
    return Response()
