"""What a caller has to know of the checkout: its data and its name. None of its code."""

from __future__ import annotations

from dataclasses import dataclass

from resaga import Contract

__all__ = ["Checkout", "Order", "Receipt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a customer wants; ``amount`` is in cents."""

    product: str
    quantity: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The number of the payment; ``left`` is what is on the shelf now."""

    payment: int
    left: int


Checkout = Contract("CheckoutWorkflow", Order, Receipt)
