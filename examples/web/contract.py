"""What the application has to know of the sagas."""

from __future__ import annotations

from dataclasses import dataclass

from resaga import Contract

__all__ = ["Checkout", "Order", "Receipt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a customer wants."""

    product: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The number of the sale, and who sold it."""

    sale: int
    sold_by: str


Checkout = Contract("CheckoutWorkflow", Order, Receipt)
