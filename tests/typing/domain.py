"""What the sagas of the typing tests are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass
class Order:
    product: str


@dataclass
class RushOrder(Order):
    hours: int


@dataclass
class Reserved:
    hold: str


@dataclass
class Paid:
    charge: str


@dataclass
class Receipt:
    hold: str
    charge: str


class Inventory(Protocol):
    """A slice of the services: all that a step may need of them."""

    @property
    def inventory(self) -> str: ...


@dataclass
class Services:
    inventory: str = "inventory"
    payments: str = "payments"
